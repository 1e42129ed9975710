"""Networks without their smallest weights: what stays zero, what barriers are seen, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.core.rng import stream
from thalweg.descent import Adam
from thalweg.errors import InputError
from thalweg.reproductions.classifiers import Classifier
from thalweg.trajectories.pruning import pruned_curve, removable_share, segment_barriers
from thalweg.zoo import double_well, polynomial


def test_the_barrier_between_two_wells_is_its_height_and_there_is_none_within_one() -> None:
    ends = torch.tensor([[1.0], [-0.9]], dtype=torch.float64)
    found = segment_barriers(double_well(0.3), torch.full((2, 1), -1.0, dtype=torch.float64), ends, 11)
    assert found.tolist() == pytest.approx([0.3, 0.0], abs=1e-12)


def test_nothing_removed_is_the_network_itself_and_everything_removed_is_chance() -> None:
    classifier = Classifier((5,), rows=200)
    risk = classifier.risk()
    starts = classifier.starts(risk, 2, stream(1))
    found = pruned_curve(risk, starts, (0.0, 0.5, 1.0), Adam(0.01), steps=40, batch=50, points=4, rng=0)
    test = risk.test
    assert test is not None and {x.shape for x in found.values()} == {(3, 2)}
    assert found["pruned"][0].tolist() == test.evaluate(starts)["accuracy"].tolist()
    assert (found["pruned_barrier"][0] == 0).all() and (found["pruned_barrier"] >= 0).all()
    assert found["pruned_loss"][2] == pytest.approx(2.3, abs=0.1)  # ln 10 and what biases add
    assert (found["again_loss"][1] < found["pruned_loss"][1] - 0.5).all()
    assert (found["again_loss"][2] > 2).all()  # what is gone does not come back


def test_a_network_without_test_rows_is_refused() -> None:
    risk = polynomial()
    with pytest.raises(InputError, match="test=\\(inputs, labels\\)"):
        pruned_curve(risk, risk.initial.theta[None], (0.5,), Adam(0.01))


def test_a_share_is_removable_only_where_every_smaller_one_is() -> None:
    after = np.array([[0.9, 0.9, 0.9], [0.895, 0.8, 0.91], [0.885, 0.9, 0.89]])
    assert removable_share((0.0, 0.5, 0.9), after[0], after, 0.01).tolist() == [0.5, 0.0, 0.9]
    assert removable_share((0.0, 0.5, 0.9), after[0], after, 0.2).tolist() == [0.9, 0.9, 0.9]
