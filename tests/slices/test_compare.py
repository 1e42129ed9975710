"""Comparing two models: p-values by brute force, no difference where there is none, one where there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch import nn

import thalweg as tw
from thalweg.core.rng import Stream
from thalweg.records import ComparisonStatus, Profile, SliceStatus
from thalweg.slices import Line, Plane, compare
from thalweg.slices.compare import _tested, _widths


def profile(rise: np.ndarray, points: tuple[str, ...] = ("a",), template: list[Profile] = []) -> Profile:  # noqa: B006
    """A line whose directions rise by scale·t², with the scales given."""
    if not template:
        f = tw.Function(lambda x: x.square().sum(), 3, initial=torch.zeros(3))
        template.append(Line(steps=11, repeats=2)(f, f.initial))
    t = template[0].data["coordinates"]
    values = 1.0 + rise[:, None] * t**2
    return replace(
        template[0],
        data={"loss": values[0], "repeat_loss": values, "coordinates": t},
        repeats=template[0].repeats[:1] * len(rise),
        center_loss=1.0,
        status=SliceStatus.COMPLETE,
        provenance=replace(template[0].provenance, points=points),
    )


@pytest.mark.parametrize(("ra", "rb"), [(4, 4), (3, 5), (5, 4)])
def test_p_values_are_those_of_every_exchange_of_directions(ra: int, rb: int) -> None:
    rng = np.random.default_rng(ra)
    values = rng.standard_normal((ra + rb, 6)).round(1) + np.r_[np.ones(ra), np.zeros(rb)][:, None]
    found, ways, exhaustive = _tested(values, ra, Stream(0))
    ranks = rankdata(values, axis=0)
    ranks /= ranks.std(axis=0)

    def apart(chosen: tuple[int, ...]) -> np.ndarray:
        mine = np.isin(np.arange(ra + rb), chosen)
        return np.abs(ranks[mine].mean(0) - ranks[~mine].mean(0))

    every = np.array([apart(c).max() for c in itertools.combinations(range(ra + rb), ra)])
    expected = [(every >= x - 1e-9).mean() for x in apart(tuple(range(ra)))]
    assert exhaustive and ways == len(every)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_of_many_comparisons_of_a_model_with_itself_few_are_called_different() -> None:
    """Family-wise over all distances: at most the level, up to three standard errors."""
    rng = np.random.default_rng(0)
    trials, level = 200, 0.1
    called = 0
    for _ in range(trials):
        mixed = rng.lognormal(size=(10, 1)) * np.arange(1, 6) ** 2 * rng.lognormal(sigma=0.3, size=(10, 5))
        called += _tested(mixed, 5, Stream(0))[0].min() <= level
    assert called / trials <= level + 3 * np.sqrt(level * (1 - level) / trials)
    assert called > 0  # and a test that never speaks is none


def test_separated_models_differ_and_the_numbers_say_how() -> None:
    rng = np.random.default_rng(1)
    flat, sharp = rng.uniform(1, 2, 6), rng.uniform(4, 8, 6)
    found = compare(profile(flat, ("flat",)), profile(sharp, ("sharp",)))
    assert found.status is ComparisonStatus.DIFFERENT and found.names == ("flat", "sharp")
    rise, curvature, width = found.contrasts
    assert found.exhaustive and found.permutations == 924 and found.p_value == pytest.approx(2 / 924)
    assert rise.superiority == 0 and width.superiority == 1 and rise.p == found.p_value
    assert rise.first == pytest.approx(np.median(flat)) and curvature.second == pytest.approx(2 * np.median(sharp))
    level = np.median(flat) / 2
    assert width.first == pytest.approx(np.median(np.sqrt(level / flat)), rel=0.05)  # between points by a straight line
    np.testing.assert_allclose(found.median(0), np.median(flat) * found.data["distances"] ** 2)
    assert "exceeds the spread over 6 and 6 directions" in found.summary


def test_three_directions_each_can_tell_nothing() -> None:
    found = compare(profile(np.ones(3)), profile(np.full(3, 9.0)))
    assert found.status is ComparisonStatus.TOO_FEW and found.p_value == pytest.approx(0.1)
    many = compare(profile(np.linspace(1, 2, 12)), profile(np.linspace(5, 6, 12)))
    assert many.status is ComparisonStatus.DIFFERENT and not many.exhaustive


def test_widths_of_directions_that_never_rise_are_the_range() -> None:
    distances = np.array([1.0, 2.0, 3.0])
    rise = np.array([[0.1, 0.2, 0.3], [1.0, 3.0, 9.0], [0.5, np.inf, np.inf], [-1.0, 5.0, 5.0]])
    np.testing.assert_allclose(_widths(distances, rise, 2.0), [3.0, 1.5, 1.0, 1.5])


class TestRescaling:
    """A ReLU network whose layers were multiplied by 10 and divided by 10 is the same function."""

    @staticmethod
    def twins() -> tuple[tw.EmpiricalRisk, tw.EmpiricalRisk]:
        found = []
        for factor in (1.0, 10.0):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)).double()
            with torch.no_grad():
                net[0].weight *= factor
                net[0].bias *= factor
                net[2].weight /= factor
            images = tw.zoo.digits(dtype=torch.float64).table
            found.append(tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), (images.inputs[:300], images.targets[:300])))
        return found[0], found[1]

    def test_it_is_no_difference_under_filter_normalisation_whatever_the_directions(self) -> None:
        a, b = self.twins()
        method = Line(steps=9, repeats=6)
        for seed in (0, 1):  # the same draws, and others
            found = compare(method(a, a.initial, rng=0), method(b, b.initial, rng=seed))
            assert found.status is ComparisonStatus.ALIKE and found.p_value > 0.2, found.summary
        np.testing.assert_allclose(
            compare(method(a, a.initial), method(b, b.initial)).contrasts[0].superiority, 0.5, atol=0.1
        )

    def test_it_is_a_difference_without_normalisation(self) -> None:
        a, b = self.twins()
        method = Line(steps=9, repeats=6, half_width=0.3, norm=None)
        found = compare(method(a, a.initial), method(b, b.initial, rng=1))
        assert found.status is ComparisonStatus.DIFFERENT and found.contrasts[0].superiority in (0.0, 1.0)

    def test_planes_are_compared_by_rings(self) -> None:
        a, b = self.twins()
        method = Plane(steps=5, repeats=4)
        found = compare(method(a, a.initial), method(b, b.initial))
        assert found.status is ComparisonStatus.ALIKE and found.data["rise_first"].shape == (4, 2)


def test_what_is_not_comparable_is_refused() -> None:
    risk = tw.zoo.digits(hidden=(8,))
    some = risk.rows(torch.arange(200))
    line = Line(steps=5, repeats=2)
    base = line(some, risk.initial)
    for other, words in (
        (Line(steps=5)(some, risk.initial), "repeats=8"),
        (Plane(steps=5, repeats=2)(some, risk.initial), "profile and a surface"),
        (replace(line, norm="layer")(some, risk.initial), "norm='filter' and norm='layer'"),
        (replace(line, biases="scale")(some, risk.initial), "biases"),
        (replace(line, half_width=0.5)(some, risk.initial), "grids differ"),
        (replace(line, steps=7)(some, risk.initial), "grids differ"),
        (line(risk.rows(torch.arange(100, 300)), risk.initial), "rows differ"),
        (replace(base, provenance=replace(base.provenance, statistics="recalibrate")), None),
    ):
        if words is None:
            frozen = replace(base, provenance=replace(base.provenance, statistics="freeze(x)"))
            with pytest.raises(tw.errors.InputError, match="statistics are freeze and recalibrate"):
                compare(frozen, other)
            continue
        with pytest.raises(tw.errors.InputError, match=words):
            compare(base, other)
    elsewhere = line(risk.rows(torch.arange(100, 300)), risk.initial)
    assert "rows of its own" in compare(base, elsewhere, other_rows=True).provenance.notes[0]


def test_a_comparison_is_kept_and_read_back(tmp_path: object) -> None:
    from thalweg.records import pack, unpack

    found = compare(profile(np.linspace(1, 2, 5)), profile(np.linspace(3, 4, 5)))
    again = unpack(*pack(found))
    assert again.summary == found.summary and again.status is found.status
