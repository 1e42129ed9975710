"""The contract of a claim: it holds at its example, and is refused and false at its control."""

from __future__ import annotations

import re
from abc import abstractmethod

from thalweg.records import VerdictStatus
from thalweg.testing.contract import Contract, keeps
from thalweg.theory.claim import Claim
from thalweg.theory.page import shown


class ClaimContract(Contract):
    """What every claim keeps; example and control are run once."""

    @abstractmethod
    def make(self) -> Claim:
        """The claim that is examined; the same object at every call saves running it again."""

    def test_it_holds_at_its_example(self) -> None:
        """Every hypothesis is met there, and the verdict is "holds", or "open" where nobody has settled it."""
        claim = self.make()
        verdict = shown(claim).example
        wanted = VerdictStatus.OPEN if claim.open else VerdictStatus.HOLDS
        said = "; ".join([check.text for check in verdict.checks] + [verdict.conclusion])
        keeps(
            verdict.status is wanted, f"{claim.id} is {verdict.status.word}, not {wanted.word}, at its example: {said}"
        )
        keeps(len(verdict.checks) > 0, f"{claim.id} checks no hypothesis at its example")
        keeps(bool(verdict.conclusion), f"{claim.id} concludes nothing at its example: say what follows")
        keeps(verdict.guarantee is not None, f"{claim.id} does not say how sure its conclusion is")

    def test_it_is_refused_and_false_at_its_control(self) -> None:
        """The control drops one hypothesis, by name, and the conclusion is false there."""
        claim = self.make()
        found = shown(claim)
        refused = found.control.status is VerdictStatus.HYPOTHESIS_UNMET
        keeps(refused, f"{claim.id} is {found.control.status.word} at its control: no hypothesis was dropped")
        unmet = [check.name for check in found.control.unmet]
        keeps(found.drops in unmet, f"{claim.id}'s control drops {found.drops!r}, and what is unmet there is {unmet}")
        keeps(
            found.without.ok is False,
            f"{claim.id}'s conclusion at its control is {found.without.ok} ({found.without.said}): without "
            "a hypothesis that matters it is false",
        )

    def test_what_it_says_of_itself(self) -> None:
        """An id, a statement, a dated source and a scale of the loss; a final class without state."""
        claim = self.make()
        keeps(bool(re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_.]+", claim.id)), f"id={claim.id!r}: write source_year.name")
        keeps(bool(claim.statement), f"{claim.id} has no statement")
        keeps(
            any(c.isdigit() for c in claim.citation),
            f"{claim.id} cites {claim.citation!r}: name the year and the place",
        )
        keeps(bool(claim.loss_scale), f"{claim.id} does not say in which scale of the loss its constants are meant")
        keeps("__final__" in vars(type(claim)), f"{type(claim).__name__} is not final: decorate it with typing.final")
        keeps(not vars(claim), f"{type(claim).__name__} keeps {sorted(vars(claim))}: a claim has no state")
