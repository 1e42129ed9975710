"""What counts as removable, and a narrow slice of the reproduction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from thalweg.core.evaluate import Evaluator, Inline, Outcome, Plan
from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.reproductions.pruning import Pruning


def test_removable_ends_where_accuracy_is_first_lost() -> None:
    method = Pruning(shares=(0.0, 0.3, 0.5, 0.7))
    accuracy = np.array([[0.9, 0.9, 0.9], [0.9, 0.85, 0.895], [0.892, 0.95, 0.891], [0.5, 0.95, 0.9]])
    assert method._removable({"pruned": accuracy}, "pruned").tolist() == [0.5, 0.0, 0.7]


def test_a_slice_keeps_pruned_weights_at_zero_and_goes_on_where_it_was_kept() -> None:
    settings = {"widths": (4, 12), "shares": (0.0, 0.5, 0.9), "seeds": 4, "steps": 60, "again": 15, "points": 4}
    kept = _Kept()
    record = build("pruning", **settings)(evaluate=kept)
    assert record.data["12.pruned"].shape == (3, 4) and record.data["12.pruned"][2].mean() < 0.9
    assert record.data["12.again"][2].mean() > record.data["12.pruned"][2].mean()
    assert record.data["12.pruned_barrier"].min() >= 0 and (record.data["12.pruned_barrier"][0] == 0).all()
    assert record.data["12.other_barrier"].min() > 0.01  # between two starts there is one
    kept.state = {name: x for name, x in kept.state.items() if not name.startswith("width 12")}
    resumed = build("pruning", **settings)(evaluate=kept)
    assert all(np.array_equal(x, resumed.data[name]) for name, x in record.data.items())


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="0 among them"):
        build("pruning", shares=(0.3, 0.5))


class _Kept(Evaluator):
    """An evaluator that keeps the state in memory."""

    def __init__(self) -> None:
        self.state: dict[str, np.ndarray] = {}

    def __call__(self, plan: Plan) -> Outcome:
        return Inline()(plan)

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        self.state = dict(state)

    def restore(self) -> dict[str, np.ndarray] | None:
        return self.state or None

    def progress(self, done: int, total: int) -> None:
        assert done <= total
