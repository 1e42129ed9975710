"""Critical points counted by index, where all of them are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.critical import Count, Search, tensor_counts
from thalweg.errors import InputError
from thalweg.plot.interactive import views
from thalweg.plot.static import render
from thalweg.records import CountStatus


def tensor(dimension: int) -> tw.Function:
    return tw.Function(lambda x: -(x**4).sum(), dimension, manifold="sphere")


def test_every_sign_vector_of_the_orthogonal_tensor_is_found_with_its_index() -> None:
    assert sum(tensor_counts(3).values()) == 26 and tensor_counts(3) == {0: 6, 1: 12, 2: 8}
    record = Count(starts=150, known=tensor_counts(3))(tensor(3))
    assert record.status is CountStatus.COMPLETE and record.data["count"].tolist() == [6, 12, 8]
    assert record.saddles_per_minimum == pytest.approx(20 / 6) and "26 different" in record.summary
    support = (np.abs(record.data["thetas"]) > 1e-3).sum(1)
    np.testing.assert_array_equal(record.data["index"], support - 1)
    np.testing.assert_allclose(record.data["loss"], -1 / support, atol=1e-9)


def test_saddles_outnumber_minima_the_more_the_higher_the_dimension() -> None:
    ratio = [(sum(tensor_counts(d).values()) - 2 * d) / (2 * d) for d in (2, 4, 8, 16)]
    assert ratio[0] == 1 and all(b > 4 * a for a, b in itertools.pairwise(ratio))


def test_what_was_missed_is_said_and_what_is_not_isolated_refused() -> None:
    few = Count(starts=5, known=tensor_counts(3))(tensor(3))
    assert few.status is CountStatus.SHORT and few.data["count"].sum() <= 5
    alone = Count(starts=5)(tensor(3))
    assert alone.status is CountStatus.FOUND and "may be more" in alone.message
    circle = tw.Function(lambda x: (x.square().sum() - 1) ** 2, 2, initial=torch.ones(2))
    with pytest.raises(InputError, match="null directions"):
        Count(Search(steps=30), starts=4)(circle)
    with pytest.raises(InputError, match="starts=0"):
        Count(starts=0)


def test_counts_and_censuses_are_drawn() -> None:
    record = Count(starts=20, known=tensor_counts(2))(tensor(2))
    for held in (record, Search(steps=20)(tensor(2), record.data["thetas"])):
        assert len(render(held, "png")) > 8000
        (view,) = views(held)
        assert view["data"] and view["layout"]["xaxis"]["title"]["text"]
