"""docs/claims.md, written from the registry: each claim run on its example and on its control."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.records import Check, Verdict, VerdictStatus
from thalweg.theory.claim import Claim, Conclusion
from thalweg.theory.errata.registry import ERRATA
from thalweg.theory.registry import CLAIMS
from thalweg.theory.statements import STATEMENTS, Statement
from thalweg.theory.subject import Subject

HEAD = """# Claims

Every numbered statement, conjecture and open question of the five sources, and what examines it here. Each claim is
run on an example, where its hypotheses hold, and on a control that drops one hypothesis and where its conclusion is
false; sentences that are not true as written have an [erratum](errata.md). This page is written by
`python -m thalweg.theory.page docs/claims.md`; `thalweg audit SUBJECT` examines the same claims on your own network.
"""

SOURCES = {
    "000": "Cohen 2018, “Do landscape analyses suffice for understanding optimization in deep learning?”",
    "001": "Sun, Li, Liang, Ding & Srikant 2020, “The global landscape of neural networks: an overview”",
    "002": "Chen 2016, “On optimization in deep learning”",
    "003": "Das 2018, “Recent advances in non-convex optimization for deep learning”",
    "004": "Freeman & Bruna, draft of “Topology and geometry of deep rectified network optimization landscapes”",
}
"""The sources by their number."""


def claims_page() -> str:
    """The page as text; every verdict on it is run while it is written."""
    by_statement: dict[str, list[str]] = {}
    for claim in CLAIMS.values():
        for state in claim.states:
            by_statement.setdefault(state, []).append(claim.id)
    parts = [HEAD, "## Statements\n"]
    for number, source in SOURCES.items():
        parts += [f"### {number}: {source}\n", "| place | kind | it says | examined by |", "| --- | --- | --- | --- |"]
        parts += [_row(s, by_statement.get(s.id, [])) for s in STATEMENTS if s.source == number]
        parts.append("")
    parts.append("## What each claim states, and where it fails\n")
    for claim in CLAIMS.values():
        parts += _told(claim)
    return "\n".join(parts).rstrip() + "\n"


def _row(statement: Statement, claims: list[str]) -> str:
    by = [f"[`{c}`](#{_anchor(c)})" for c in claims]
    by += [f"`{statement.computed}`"] if statement.computed else []
    wrong = [cls for cls in ERRATA if statement.id in cls.states]
    by += [f"erratum [{cls.id}](errata.md#{_slug(f'{cls.id}: {cls.place}')})" for cls in wrong]
    said = ", ".join(by) if by else ("open" if statement.open else "not examined yet")
    return f"| {statement.place} | {statement.kind}{', open' if statement.open else ''} | {statement.says} | {said} |"


def _slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _anchor(claim: str) -> str:
    return claim.replace(".", "")


@dataclass(frozen=True)
class Shown:
    """A claim at its example, at its control, and at its control without the hypothesis that it drops."""

    example: Verdict
    control: Verdict
    drops: str
    without: Conclusion


@functools.cache
def shown(claim: Claim) -> Shown:
    """Run a claim on what it brings along, once."""
    example, control = claim.example(), claim.control()
    at_control = Subject(control.objective, control.point)
    return Shown(
        claim.examine(Subject(example.objective, example.point)),
        claim.examine(at_control),
        control.drops,
        claim.conclude(at_control),
    )


def _told(claim: Claim) -> Iterator[str]:
    found = shown(claim)
    yield f"### {claim.id}\n"
    yield f"{claim.statement}\n"
    yield f"- Source: {claim.citation}{'' if claim.verified else ' (constants unverified)'}. Loss: {claim.loss_scale}."
    yield f"- Hypotheses: {'; '.join(check.name for check in found.example.checks)}."
    yield f"- Example: {_word(found.example)}."
    yield (
        f"- Control, without “{found.drops}”: {_word(found.control)}{_missing(found.control.checks)}; "
        f"taken without it, the conclusion is {'true' if found.without.ok else 'false'}.\n"
    )


def _word(verdict: Verdict) -> str:
    return verdict.status.word if verdict.status is not VerdictStatus.HYPOTHESIS_UNMET else "refused"


def _missing(checks: tuple[Check, ...]) -> str:
    missed = [check.name for check in checks if not check.ok]
    return f" ({'; '.join(missed)})" if missed else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(claims_page())
