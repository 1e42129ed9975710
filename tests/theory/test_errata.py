"""Every erratum: the printed sentence fails, the corrected one passes, the page is up to date, the file runs alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.theory import STATEMENTS
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


def test_one_file_runs_by_itself() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-m", ERRATA[0].__module__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(ERRATA[0].id) and "NOT BORNE OUT" not in done.stdout and "as printed" in done.stdout


def test_ids_are_unique_and_the_page_is_the_one_that_is_generated() -> None:
    assert len({erratum.id for erratum in ERRATA}) == len(ERRATA)
    assert (DOCS / "errata.md").read_text() == errata_page(), "run python -m thalweg.theory.errata.page docs/errata.md"
