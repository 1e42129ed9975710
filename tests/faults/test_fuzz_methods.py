"""Methods on models, rows and points of any kind: a record that says what is not finite in it, or one line."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import torch
from benchmarks.faults import methods
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.records import SliceStatus
from thalweg.slices import Line

FOUND = [
    ("audit", 4),  # a claim decomposed a matrix that is not finite
    ("connect", 7),  # the best affine predictor of inputs that are not finite
    ("align by activations", 7),  # correlations that are not finite
    ("audit", 7),
    ("Line, range found", 9),  # a point of infinite length
    ("Line, range found", 18),  # a direction of length 0
    ("connect", 25),  # a weight of no numbers taken for one
    ("align", 25),  # the order of no units
    ("audit", 25),
    ("Line, range found", 28),  # a bisection that never ended
    ("Classify", 3002),  # layers without units, or without inputs
    ("Classify", 3012),
    ("align by activations", 3008),  # correlations over one row
    ("Descent on rows", 4012),  # a batch of one row that is normalised by itself
]
"""Cases that once ended in a traceback or not at all."""


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_what_was_once_found_stays_mended(name: str, seed: int) -> None:
    assert not methods.once(name, seed).defects


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(methods.METHODS)), seed=st.integers(0, 2**32 - 1))
def test_any_model_gives_a_record_or_one_line(name: str, seed: int) -> None:
    assert not methods.once(name, seed).defects


def test_the_fuzzer_sees_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a method that fails in its own way, one that never ends, one that warns, one that hides NaN."""

    def fails(f: object, p: object) -> object:
        raise KeyError("x")

    def hangs(f: object, p: object) -> object:
        while True:
            time.sleep(0.01)

    def warns(f: object, p: list[torch.Tensor]) -> object:
        for _ in range(methods.WARNINGS + 1):
            warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        return Line(steps=3)(f, p[0])  # type: ignore[arg-type]

    def hides(f: object, p: list[torch.Tensor]) -> object:
        record = Line(steps=3)(f, p[0])  # type: ignore[arg-type]
        object.__setattr__(record, "data", {**record.data, "loss": record.loss * np.nan})
        assert record.status is SliceStatus.COMPLETE
        return record

    seed = next(s for s in range(100) if methods.drawn(s).told == "nothing odd")
    for method, word in ((fails, "KeyError"), (hangs, "no end"), (warns, "5 warnings"), (hides, "not finite")):
        monkeypatch.setitem(methods.METHODS, "planted", method)
        monkeypatch.setattr(methods, "HANG_SECONDS", 0.5 if method is hangs else 600)
        (defect,) = methods.once("planted", seed).defects
        assert word in defect
