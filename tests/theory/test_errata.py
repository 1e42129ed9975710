"""Every erratum: the printed sentence fails, the corrected one passes, the page is up to date, the file runs alone."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.theory import STATEMENTS
from thalweg.theory.errata import (
    e03_connected_sublevel_sets,
    e08_dimension_of_inputs,
    e11_single_neuron,
    e16_valleys_and_basins,
    e23_first_bad_half,
)
from thalweg.theory.errata.e09_direction_of_a_line import DirectionOfALine
from thalweg.theory.errata.erratum import Erratum
from thalweg.theory.errata.page import errata_page
from thalweg.theory.errata.registry import ERRATA

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(params=ERRATA, ids=lambda cls: cls.id)
def erratum(request: pytest.FixtureRequest) -> Erratum:
    found: Erratum = request.param()
    return found


def test_the_printed_sentence_fails(erratum: Erratum) -> None:
    shown = erratum.refute()
    assert shown.ok, shown.said
    assert any(c.isdigit() for c in shown.said) and shown.values


def test_the_corrected_statement_passes(erratum: Erratum) -> None:
    shown = erratum.confirm()
    assert shown.ok, shown.said
    assert shown.values


def test_what_an_erratum_says_of_itself(erratum: Erratum) -> None:
    assert erratum.place[:3] in {s.source for s in STATEMENTS} and erratum.quote and erratum.corrected
    assert set(erratum.states) <= {s.id for s in STATEMENTS}
    assert "__final__" in vars(type(erratum))
    name = type(erratum).__module__.rpartition(".")[2]
    assert name.startswith(erratum.id.lower().replace("e", "e0" if len(erratum.id) == 2 else "e")), name
    assert f"print({type(erratum).__name__}().report())" in inspect.getsource(sys.modules[type(erratum).__module__])


def test_one_file_runs_by_itself() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-m", ERRATA[0].__module__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(ERRATA[0].id) and "NOT BORNE OUT" not in done.stdout and "as printed" in done.stdout


def mended(fn: Function, beads: list[Tensor]) -> None:
    """What Algorithm 1 means: every segment above the threshold gets a bead."""
    found = [beads[0]]
    for a, b in itertools.pairwise(list(beads)):
        if e23_first_bad_half.highest(fn, a, b)[0] > e23_first_bad_half.LEVEL:
            middle = (a + b) / 2
            half = [a, middle / middle.norm(), b]
            mended(fn, half)
            found += half[1:]
        else:
            found.append(b)
    beads[:] = found


UNTRUE = {
    "E3 were no well bad": (e03_connected_sublevel_sets, "bad_minima", lambda c: 0, "confirm"),
    "E8 where the sigmoid is concave": (e08_dimension_of_inputs, "LEVEL", 1.0, "refute"),
    "E11 for a continuous activation": (e11_single_neuron, "jump", torch.tanh, "refute"),
    "E16 were every well bad": (e16_valleys_and_basins, "bad_minima", lambda c: 1, "confirm"),
    "E23 with both halves mended": (e23_first_bad_half, "printed", mended, "refute"),
}
"""Constructions changed so that they no longer show what they should: module, name, replacement, which half fails."""


@pytest.mark.parametrize("case", UNTRUE)
def test_a_construction_that_shows_nothing_is_not_borne_out(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, replacement, half = UNTRUE[case]
    monkeypatch.setattr(module, name, replacement)
    erratum = next(e for e in ERRATA if e.__module__ == module.__name__)()
    assert not getattr(erratum, half)().ok
    assert "NOT BORNE OUT" in erratum.report()


def test_a_line_that_is_read_from_its_other_end_is_not_borne_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = DirectionOfALine._values()[::-1]
    monkeypatch.setattr(DirectionOfALine, "_values", staticmethod(lambda: values))
    assert not DirectionOfALine().refute().ok and not DirectionOfALine().confirm().ok


def test_ids_are_unique_and_the_page_is_the_one_that_is_generated() -> None:
    assert [erratum.id for erratum in ERRATA] == [f"E{k + 1}" for k in range(len(ERRATA))]
    assert (DOCS / "errata.md").read_text() == errata_page(), "run python -m thalweg.theory.errata.page docs/errata.md"
