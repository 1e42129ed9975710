"""Records go through JSON and back, are frozen, and derive their numbers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg import records
from thalweg.errors import InputError, StoreError
from thalweg.records import (
    Bracket,
    Cost,
    DirectionsSummary,
    Fingerprint,
    Guarantee,
    Mark,
    Profile,
    Provenance,
    SliceStatus,
    Status,
    Surface,
)


def provenance(**changes: object) -> Provenance:
    fields: dict = dict(
        fingerprint=Fingerprint("a", "b", "freeze(x)", (1.0, float("nan"))), method={"name": "Plane", "norm": None},
        points=("a",), seed="0/plane", dtype="float64", device="cpu", backend="loop", reason="reference",
        statistics="", tolerance=1e-12, threads=2, rows=10, notes=("a note",),
    )  # fmt: skip
    return Provenance(**{**fields, **changes})


def profile(loss: np.ndarray, **changes: object) -> Profile:
    fields: dict = dict(
        data={"loss": loss, "coordinates": np.linspace(0, 1, len(loss))},
        status=SliceStatus.COMPLETE,
        cost=Cost(forwards=3, seconds=0.5),
        provenance=provenance(),
        directions=DirectionsSummary({"kind": "given", "path": [1, "x"]}, (1.0,), (), ("d",)),
        center=None,
        center_loss=float("inf"),
        marks=(Mark("m", (0.5,), -0.0),),
    )
    return Profile(**{**fields, **changes})


@given(loss=hnp.arrays(np.float64, st.integers(2, 9), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_records_survive_json(loss: np.ndarray) -> None:
    record = profile(loss)
    metadata, arrays = records.pack(record)
    again = records.unpack(json.loads(json.dumps(metadata, allow_nan=False)), arrays)
    assert again.arrays().keys() == record.arrays().keys()
    assert again.data["loss"].tobytes() == record.data["loss"].tobytes()
    for field in dataclasses.fields(record):
        if field.name not in ("data", "provenance"):
            assert getattr(again, field.name) == getattr(record, field.name), field.name
    assert repr(again.provenance) == repr(record.provenance)  # NaN is not equal to itself, its repr is


def test_records_are_frozen_and_keep_their_own_arrays() -> None:
    loss = np.zeros(3)
    record = profile(loss)
    loss[0] = 7.0
    assert record.loss[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        record.loss[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.center_loss = 1.0  # type: ignore[misc]


def test_records_share_what_one_of_them_has_frozen_and_nothing_else() -> None:
    loss = np.zeros(3)
    record = profile(loss)
    assert dataclasses.replace(record, center_loss=1.0).data["loss"] is record.data["loss"]
    view = loss[:]
    view.setflags(write=False)  # its owner may still write
    assert not np.shares_memory(profile(view).data["loss"], loss)


def test_a_missing_array_or_unknown_schema_is_refused() -> None:
    with pytest.raises(InputError, match="'coordinates'"):
        profile(np.zeros(2), data={"loss": np.zeros(2)})
    metadata, arrays = records.pack(profile(np.zeros(2)))
    with pytest.raises(StoreError, match="schema 99"):
        records.unpack({**metadata, "schema": 99}, arrays)
    with pytest.raises(StoreError, match="'mystery'"):
        records.unpack({**metadata, "kind": "mystery"}, arrays)


def test_barrier_is_the_rise_above_the_chord() -> None:
    def joined(loss: list[float]) -> Profile:
        return profile(np.array(loss), marks=(Mark("a", (0.0,), loss[0]), Mark("b", (1.0,), loss[-1])))

    assert joined([1.0, 4.0, 2.0]).barrier == 2.5
    assert joined([1.0, 1.5, 2.0]).barrier == 0.0
    assert np.isnan(joined([np.inf, 1.5, 2.0]).barrier or 0.0)
    assert profile(np.zeros(3)).barrier is None


def test_nonfinite_points_are_counted_and_extremes_are_finite() -> None:
    record = profile(np.array([np.nan, 2.0, np.inf, -1.0]))
    assert (record.nonfinite, record.loss_min, record.loss_max) == (2, -1.0, 2.0)
    assert np.isnan(profile(np.full(2, np.nan)).loss_min)


def test_axes_of_a_surface() -> None:
    a, b = np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])
    mesh = np.stack(np.meshgrid(a, b, indexing="ij"), -1)
    base = profile(np.zeros(2))
    fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
    surface = Surface(**{**fields, "data": {"loss": np.zeros((2, 3)), "coordinates": mesh}})
    np.testing.assert_array_equal(surface.axes[0], a)
    np.testing.assert_array_equal(surface.axes[1], b)


def test_guarantees_are_ordered_and_a_bracket_carries_the_weaker() -> None:
    assert [g.strength for g in Guarantee] == [3, 2, 1, 0]
    both = Bracket(0.0, 1.0, Guarantee.EXACT, Guarantee.ADAPTIVE)
    assert both.guarantee is Guarantee.ADAPTIVE and str(both) == "[0, 1]"
    assert Bracket(0.0, None, Guarantee.EXACT).guarantee is Guarantee.SAMPLED


def test_costs_add_and_count_arithmetic() -> None:
    total = Cost(forwards=3, seconds=1) + Cost(backwards=2, products=1, rows=7)
    assert total.units == 1 + 2 + 2 and total.rows == 7
    assert "3 forwards, 2 gradients, 1 product" in str(total)


def test_fingerprints_compare_probes_loosely_and_digests_exactly() -> None:
    a = Fingerprint("s", "d", "", (1.0, float("nan")))
    assert a.differences(Fingerprint("s", "d", "", (1.00005, float("nan")))) == []
    assert a.differences(Fingerprint("s", "e", "", (1.0, float("nan")))) == ["data 'd' is not 'e'"]
    assert "probe point" in a.differences(Fingerprint("s", "d", "", (1.1, float("nan"))))[0]


def test_every_status_has_a_sentence() -> None:
    for family in Status.__subclasses__():
        for member in family:
            assert member.sentence.endswith(".") and (not member.remedy or member.remedy.endswith("."))
