"""Each citation of a paper has an entry in the bibliography, and each entry is cited."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = r"(?:(?:de|van|von|Ben|Van|Tachet des) )*[A-ZÀ-ÖØ-ÞŠČŽ][^\W\d_]+(?:-[A-Z][^\W\d_]+)?"
CITATION = re.compile(
    rf"(?<![\w’'.-])({NAME}(?:(?:, {NAME})*,? (?:&|and) {NAME}| et al\.)?),? \(?((?:18|19|20)\d\d)[a-z]?\b"
)
NOT_NAMES = frozenset(calendar.month_name)


@dataclass(frozen=True)
class Paper:
    """A paper as it is cited: its authors, whether these are all, and its year."""

    names: tuple[str, ...]
    others: bool
    year: str

    def cites(self, entry: Paper) -> bool:
        """Whether this may stand for the entry: all the authors, or the first and others."""
        if self.year != entry.year or self.names[0] != entry.names[0]:
            return False
        return self.others or len(self.names) == 1 or entry.others or self.names == entry.names


def papers(text: str) -> set[Paper]:
    """The papers that a text cites; upper-case constants and months are no authors."""
    text = re.sub(r'"\s*\n\s*f?"', "", text)  # a string that goes on in the next line
    found = set()
    for authors, year in CITATION.findall(re.sub(r"\s*\n[\s#*]*", " ", text)):
        names = tuple(re.split(r",? (?:&|and) |, ", authors.removesuffix(" et al.")))
        if not names[0].isupper() and names[0] not in NOT_NAMES:
            found.add(Paper(names, authors.endswith(" et al."), year))
    return found


def missing(cited: set[Paper], entries: set[Paper]) -> tuple[list[Paper], list[Paper]]:
    """Citations without an entry, and entries without a citation."""
    return (
        sorted((c for c in cited if not any(c.cites(e) for e in entries)), key=repr),
        sorted((e for e in entries if not any(c.cites(e) for c in cited)), key=repr),
    )


def entries() -> set[Paper]:
    page = (ROOT / "docs" / "bibliography.md").read_text(encoding="utf-8")
    heads = re.findall(r"^- \*\*(.+?)\.\*\*", page, re.M)
    found = [papers(head) for head in heads]
    assert all(len(one) == 1 for one in found), [h for h, one in zip(heads, found, strict=True) if len(one) != 1]
    return {paper for one in found for paper in one}


def test_every_citation_has_an_entry_and_every_entry_is_cited() -> None:
    pages = [p for p in (ROOT / "docs").rglob("*.md") if p.stem != "bibliography"]
    cited = {p for path in (ROOT / "src").rglob("*.py") for p in papers(path.read_text(encoding="utf-8"))}
    assert len(cited) > 150
    shown = {p for path in [ROOT / "README.md", *pages] for p in papers(path.read_text(encoding="utf-8"))}
    without, uncited = missing(cited | shown, entries())
    assert without == [] and uncited == []


@pytest.mark.parametrize(
    ("text", "papers_cited"),
    [
        ("(Baldi & Hornik 1989)", [Paper(("Baldi", "Hornik"), False, "1989")]),
        ("after Li\n    et al. 2018, §7", [Paper(("Li",), True, "2018")]),
        ("Jónsson, Mills & Jacobsen (1998)", [Paper(("Jónsson", "Mills", "Jacobsen"), False, "1998")]),
        ("Golub & Van Loan 2013", [Paper(("Golub", "Van Loan"), False, "2013")]),
        ("BLOCK 1989, of November 2026", []),
    ],
)
def test_citations_are_seen(text: str, papers_cited: list[Paper]) -> None:
    assert papers(text) == set(papers_cited)


def test_what_has_no_entry_or_no_citation_is_named() -> None:
    held = {Paper(("Arora", "Cohen", "Hazan"), False, "2018"), Paper(("Li",), True, "2018")}
    wrong = Paper(("Arora", "Hazan"), False, "2018")
    assert missing({wrong}, held) == ([wrong], sorted(held, key=repr))
