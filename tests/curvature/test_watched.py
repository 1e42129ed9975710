"""Whoever watches a spectrum is told how many products were taken, and of how many."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.curvature.test_estimates import quadratic
from thalweg.core.evaluate import Inline
from thalweg.core.krylov import Ends, begin
from thalweg.core.rng import Stream
from thalweg.curvature import Density, Lanczos, Trace

DECAYING = torch.linspace(0, 1, 600, dtype=torch.float64) ** 4


def watched(method: Any, values: torch.Tensor = DECAYING, **options: Any) -> tuple[Any, list[tuple[int, int]]]:
    objective, told = quadratic(values), []
    record = method(
        objective, objective.initial, evaluate=Inline(lambda done, total: told.append((done, total))), **options
    )
    return record, told


@pytest.mark.parametrize(
    ("method", "products"),
    [
        (Lanczos(k=2, dense_below=1000), 600),
        (Trace(products=30, method="hutchinson"), 30),
        (Trace(products=30, method="hutch++"), 30),
        (Trace(products=30, method="xtrace"), 30),
        (Trace(method="dense"), 600),
        (Density(probes=3, steps=7), 21),
    ],
    ids=["dense", "hutchinson", "hutch++", "xtrace", "dense trace", "density"],
)
def test_a_known_number_of_products_is_counted_down(method: Any, products: int) -> None:
    record, told = watched(method)
    assert told[-1] == (products, products) and {total for _, total in told} == {products}
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(told))
    assert record.cost.products == products


@pytest.mark.parametrize("basis", [None, 12])
def test_lanczos_foretells_how_many_it_needs(basis: int | None) -> None:
    record, told = watched(Lanczos(k=4, tol=1e-8, basis=basis))
    first = basis or 30
    assert [done for done, _ in told] == list(range(1, record.products + 1))
    assert {total for _, total in told[:first]} == {0}, "before the first restart nothing is known"
    assert told[-1] == (record.products, record.products)
    foretold = np.array([total for _, total in told[2 * first : -4]])
    assert (foretold > 0).all() and len(foretold) > 20
    assert (foretold / record.products).min() > 0.4 and (foretold / record.products).max() < 2.5


def test_an_easier_spectrum_is_foretold_to_take_less() -> None:
    apart = torch.cat([DECAYING[:-4], torch.tensor([2.0, 3.0, 4.0, 5.0])])
    early = [next(total for _, total in watched(Lanczos(k=4, basis=12), x)[1] if total) for x in (apart, DECAYING)]
    assert early[0] < early[1]


def test_nothing_is_foretold_of_residuals_that_have_not_fallen_or_beyond_the_most_that_may_be_taken() -> None:
    ends, begun = Ends(2, basis=10, max_products=40), begin(100, Stream(0))
    assert begun.foretold(ends, 100) == 0
    assert replace(begun, products=10, residual=1.5).foretold(ends, 100) == 0
    assert replace(begun, products=10, residual=1e-3).foretold(ends, 100) == 22  # 20 to 1e-6, and 2 fresh ones
    assert replace(begun, products=10, residual=0.9).foretold(ends, 100) == 42


def test_a_density_whose_probes_need_fewer_products_still_ends_at_its_total() -> None:
    two = tw.Function(lambda x: (x * x * torch.tensor([1.0, 1.0, 3.0]).to(x)).sum(), 3, initial=torch.zeros(3))
    told: list[tuple[int, int]] = []
    Density(probes=4, steps=3)(two, two.initial, evaluate=Inline(lambda done, total: told.append((done, total))))
    assert {total for _, total in told} == {12} and [done for done, _ in told] == [1, 2, 4, 5, 7, 8, 10, 11]
