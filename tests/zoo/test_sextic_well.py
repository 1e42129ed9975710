"""The sextic well's facts by automatic differentiation, and Kramers' time beside the exact mean."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.zoo.sextic_well import curvatures, kramers_time, mean_crossing_time, potential, sextic_well
from thalweg.zoo.wells import mean_passage_time


@settings(max_examples=15, deadline=None)
@given(height=st.floats(0.1, 5), pinch=st.floats(0, 1.9), width=st.floats(0.3, 3))
def test_critical_points_are_those_of_derivatives(height: float, pinch: float, width: float) -> None:
    well = sextic_well(height, pinch, width)
    minimum, top = curvatures(height, pinch, width)
    for at, value, bent in ((0.0, height, -top), (width, 0.0, minimum), (-width, 0.0, minimum)):
        x = torch.tensor([[at]], dtype=torch.float64)
        found, slope = well.value_and_grad(x)
        with well.linearized(x) as there:
            curvature = float(there.hvp(torch.ones(1, 1, 1, dtype=torch.float64)))
        assert float(found) == pytest.approx(value, abs=1e-12) and float(slope) == pytest.approx(0, abs=1e-9 * minimum)
        assert curvature == pytest.approx(bent, rel=1e-9)


def test_kramers_time_is_the_limit_of_the_exact_mean() -> None:
    gaps = []
    for temperature in (0.1, 0.05, 0.025):
        exact = mean_passage_time(lambda x: potential(x, 1.0, 0.5, 1.0), -1.0, 1.0, temperature, -3.0)
        gaps.append(abs(kramers_time(1.0, *curvatures(1.0, 0.5, 1.0), temperature) / exact - 1))
    assert gaps[2] < 0.01 and gaps[1] == pytest.approx(2 * gaps[2], rel=0.1) and gaps[0] > gaps[1]
    assert kramers_time(1.0, *curvatures(1.0, 1.9, 1.0), 0.025) / exact > 2  # the curvatures of another well


def test_the_crossing_time_grows_with_the_square_of_the_width_and_is_the_limit_s() -> None:
    time = mean_crossing_time(1.5, 0.4, 1.0)
    assert mean_crossing_time(1.5, 0.4, 3.0) == pytest.approx(9 * time, rel=1e-9)
    assert mean_crossing_time(3.0, 0.4, 1.0, 2.0) == pytest.approx(time / 2, rel=1e-9)  # time in units of F
    assert mean_crossing_time(1.5, 1.4, 1.0) != pytest.approx(time, rel=0.01)


def test_what_has_no_top_is_refused() -> None:
    with pytest.raises(InputError, match=r"pinch=2"):
        sextic_well(pinch=2.0)
