"""Contracts: what an Objective, Rule, Curve, Store or Claim of your own must keep, as checks that you can run.

Under pytest (``pip install pytest``) a subclass whose name begins with ``Test`` is a test of every check::

    class TestMine(thalweg.testing.RuleContract):
        def make(self):
            return MyRule(lr=0.1)

Without pytest, ``TestMine().certify()`` or ``check_rule(lambda: MyRule(lr=0.1))`` runs them all, and names what is
broken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from thalweg.core.evaluate import Ledger, Sink
from thalweg.core.objective import Objective
from thalweg.descent.rule import Rule
from thalweg.paths.curve import Curve
from thalweg.testing.claim import ClaimContract as ClaimContract
from thalweg.testing.contract import Contract as Contract
from thalweg.testing.contract import certified as _certified
from thalweg.testing.curve import CurveContract as CurveContract
from thalweg.testing.objective import ObjectiveContract as ObjectiveContract
from thalweg.testing.rule import RuleContract as RuleContract
from thalweg.testing.store import StoreContract as StoreContract
from thalweg.theory.claim import Claim


def check_objective(make: Callable[[], Objective]) -> dict[str, str]:
    """Run :class:`ObjectiveContract` on ``make()``; returns the checks that do not apply, with the reason.

    Raises
    ------
    AssertionError
        If a check is broken; each one is named with what was found. So do all the functions here.
    """
    return _certified(ObjectiveContract, make)


def check_rule(make: Callable[[], Rule]) -> dict[str, str]:
    """Run :class:`RuleContract` on ``make()``."""
    return _certified(RuleContract, make)


def check_curve(make: Callable[[Tensor], Curve]) -> dict[str, str]:
    """Run :class:`CurveContract` on ``make(knots)``."""
    return _certified(CurveContract, make)


def check_store(make: Callable[[Path], tuple[Ledger, Sink]]) -> dict[str, str]:
    """Run :class:`StoreContract` on ``make(folder)``."""
    return _certified(StoreContract, make)


def check_claim(make: Callable[[], Claim]) -> dict[str, str]:
    """Run :class:`ClaimContract` on ``make()``."""
    return _certified(ClaimContract, make)
