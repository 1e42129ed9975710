"""Exact trajectories beside simulated flow, for two layers and more; the control differs."""

from __future__ import annotations

import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build


@pytest.mark.parametrize("layers", [2, 3])
def test_exact_and_simulated_agree_and_the_control_does_not(layers: int) -> None:
    record = build("saxe_2014", layers=layers, strengths=(2.0, 1.0), start=0.05, points=25)()
    rows = {row.claim: row for row in record.rows}
    assert record.status is ReproductionStatus.AGREES and rows["sup_error"].ours < 1e-8
    assert rows["sup_error_unaligned"].ours > 0.1 and rows["sup_error_unaligned"].agrees is None
    strong, weak = record.data["exact0"], record.data["exact1"]
    assert strong[-1] == pytest.approx(2.0, rel=1e-2) and weak[-1] == pytest.approx(1.0, rel=1e-2)
    assert (strong >= 1.0).argmax() < (weak >= 0.5).argmax()  # the stronger mode is learned first


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="layers=1"):
        build("saxe_2014", layers=1)
    with pytest.raises(InputError, match="strengths"):
        build("saxe_2014", strengths=(1.0, -1.0))
