"""Every objective, rule, curve and store of this package keeps the contract that it ships (claims: tests/theory)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import thalweg as tw
from tests.core.test_objectives import OBJECTIVES, formula, mlp
from tests.descent.saddles import finite_sum
from thalweg.core.objective import Objective
from thalweg.descent import RULES, Rule, named
from thalweg.paths import Bezier, Curve, Polyline
from thalweg.store import Ledger, Sink
from thalweg.testing import (
    CurveContract,
    ObjectiveContract,
    RuleContract,
    StoreContract,
    check_curve,
    check_objective,
    check_rule,
)


def sphere() -> Objective:
    return tw.Function(lambda x: (x**4).sum() - x[0] * x[1], 4, manifold="sphere")


def spheres() -> Objective:
    return tw.Function(lambda x: (x**3).sum() + x[0] * x[5], 6, manifold="oblique", spheres=2)


MADE = {
    "smoothed": lambda: tw.Smoothed(formula(), 0.1, draws=4),
    "lazy": lambda: tw.LazyScale(3.0)(mlp(), mlp().initial.theta),
    "linearised": lambda: tw.linearise(mlp(), mlp().initial.theta),
    "metered": lambda: tw.Metered(mlp()),
    "some_rows": lambda: mlp().rows(torch.tensor([1, 4, 4, 9])),
    "sphere": sphere,
    "spheres": spheres,
    "spin": lambda: tw.zoo.spherical_spin(dimension=6, seed=0),
    "population": lambda: tw.zoo.safran_shamir(k=2),
}


class TestObjectives(ObjectiveContract):
    """Those whose values need a user's module are in tests/core."""

    @pytest.fixture(params=[*OBJECTIVES, *MADE], autouse=True)
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.kept = (OBJECTIVES | MADE)[request.param]()

    def make(self) -> Objective:
        return self.kept


SADDLES = {size: finite_sum(size, 0.3) for size in (3, 6)}


class TestRules(RuleContract):
    @pytest.fixture(params=RULES, autouse=True)
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make(self) -> Rule:
        return named(self.name, gamma=1.0, inner=3) if self.name == "entropy" else named(self.name)

    def objective(self) -> Objective:
        return SADDLES[3 if self.name == "third_order" else 6]  # kicks and negative curvature come into play

    def starts(self, count: int) -> torch.Tensor:
        return 0.01 * super().starts(count)


COUNTS = tuple(itertools.product(range(2, 8), (1, 3, 6)))
"""Knots and parameters of the curves that are examined."""


class TestPolylines(CurveContract):
    counts = COUNTS
    smooth = False

    def make(self, knots: torch.Tensor) -> Curve:
        return Polyline(knots)


class TestUnevenPolylines(CurveContract):
    smooth = False

    def make(self, knots: torch.Tensor) -> Curve:
        return Polyline(knots, torch.linspace(0, 1, len(knots)) ** 2)


class TestBezierCurves(CurveContract):
    counts = COUNTS

    def make(self, knots: torch.Tensor) -> Curve:
        return Bezier(knots)


class TestTheStore(StoreContract):
    def make(self, folder: Path) -> tuple[Ledger, Sink]:
        return Ledger(folder / "ledger.sqlite"), Sink(folder)


def test_a_contract_runs_without_pytest_and_says_what_does_not_apply() -> None:
    skipped = check_objective(formula)
    assert set(skipped) == {"test_each_point_may_have_rows_of_its_own"}
    assert skipped["test_each_point_may_have_rows_of_its_own"] == "Function has 1 row"
    assert check_curve(Bezier) == {} and check_rule(lambda: named("adam")) == {}
