"""What every claim keeps: an example that holds, a control that fails, known sources, a page that is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import final

import pytest
import torch

import thalweg as tw
from thalweg.errors import InputError
from thalweg.records import Audit, Check, Guarantee, VerdictStatus, pack, unpack
from thalweg.reproductions import REPRODUCTIONS
from thalweg.testing import ClaimContract
from thalweg.theory import CLAIMS, STATEMENTS, Case, Claim, Conclusion, Examine, Subject, audit
from thalweg.theory.errata.registry import ERRATA
from thalweg.theory.page import SOURCES, claims_page

DOCS = Path(__file__).parents[2] / "docs"

NUMBERED = {
    "001": """Definition III.1, Theorem III.1, Theorem III.2, Proposition IV.1, Claim IV.1, Definition IV.1,
        Proposition IV.2, Definition IV.2, Theorem IV.1, Definition IV.3, Definition IV.4, Theorem IV.2,
        Proposition IV.3, Conjecture V.1, Conjecture V.2, Conjecture V.3, Conjecture V.4, Claim VI.1, Claim VI.2,
        Claim VI.3, Theorem VI.1, Theorem VI.2, Definition VII.1, Conjecture VII.1, Claim VII.1""",
    "004": "Proposition 2.1, Proposition 2.2, Theorem 2.3, Lemma 2.4",
}
"""What the sources number; the essays number nothing."""


class TestClaims(ClaimContract):
    @pytest.fixture(params=CLAIMS.values(), ids=list(CLAIMS), autouse=True)
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.claim = request.param

    def make(self) -> Claim:
        return self.claim

    def test_it_names_the_statements_that_it_examines(self) -> None:
        assert self.claim.states and set(self.claim.states) <= {statement.id for statement in STATEMENTS}


def test_every_numbered_statement_of_the_sources_is_listed() -> None:
    ids = [statement.id for statement in STATEMENTS]
    assert len(ids) == len(set(ids)) and {s.source for s in STATEMENTS} == set(SOURCES)
    for source, places in NUMBERED.items():
        listed = {s.place for s in STATEMENTS if s.source == source}
        missing = {" ".join(p.split()) for p in places.split(",")} - listed
        assert not missing, missing


def test_what_is_computed_exists() -> None:
    for statement in STATEMENTS:
        for name in statement.computed.partition(" (")[0].split(", ") if statement.computed else ():
            room, _, rest = name.partition(".")
            if name.startswith("reproductions: "):
                assert name.removeprefix("reproductions: ") in REPRODUCTIONS, f"{statement.id}: {name}"
            elif rest:
                assert hasattr(getattr(tw, room), rest), f"{statement.id}: {name}"
            else:
                assert hasattr(tw, room), f"{statement.id}: {name}"


def test_an_erratum_stands_beside_the_statement_that_it_corrects() -> None:
    page = claims_page()
    for erratum in ERRATA:
        for state in erratum.states:
            (row,) = [s for s in STATEMENTS if s.id == state]
            line = next(x for x in page.splitlines() if f"| {row.says} |" in x)
            assert f"erratum [{erratum.id}](errata.md#{erratum.id.lower()}-" in line


def test_the_page_is_the_one_that_is_generated() -> None:
    assert (DOCS / "claims.md").read_text() == claims_page(), "run python -m thalweg.theory.page docs/claims.md"


def test_the_audit_of_a_network_that_is_no_chain() -> None:
    model = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4, 3))
    x, y = torch.randn(6, 1, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    objective = tw.EmpiricalRisk(model, torch.nn.CrossEntropyLoss(), (x, y))
    record = audit(objective, objective.initial)
    assert len(record.verdicts) == len(CLAIMS) and not record.having(VerdictStatus.FAILS)
    again = unpack(*pack(record))
    assert isinstance(again, Audit) and again.verdicts == record.verdicts


@final
class Conjectured(Claim):
    """Losses are below a number: nobody knows."""

    id, statement, citation, open = "mine.conjectured", "F is below 10.", "folklore, 1805", True
    states = ("001.toy",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        return (Check.given("a network", subject.risk is not None),)

    def conclude(self, subject: Subject) -> Conclusion:
        ok = None if subject.loss > 20 else subject.loss < 10
        return Conclusion(ok, f"measured here: F = {subject.loss:.3g}", {"loss": subject.loss}, Guarantee.SAMPLED)

    def example(self) -> Case:
        risk = tw.zoo.deep_linear()
        return Case(risk, risk.initial)

    control = example


def test_an_open_statement_is_open_whatever_was_measured() -> None:
    claim, case = Conjectured(), Conjectured().example()
    theta = case.objective.initial.theta
    verdicts = [claim.examine(Subject(case.objective, scale * theta)) for scale in (1.0, 2.2, 4.0)]
    assert [v.values["loss"] < 10 for v in verdicts] == [True, False, False] and verdicts[1].values["loss"] < 20
    open_, unsettled = VerdictStatus.OPEN, VerdictStatus.INCONCLUSIVE
    assert [v.status for v in verdicts] == [open_, open_, unsettled]
    assert verdicts[0].conclusion.startswith("measured here") and verdicts[0].guarantee is Guarantee.SAMPLED
    away = claim.examine(Subject(tw.Function(lambda x: x.square().sum(), 2), torch.ones(2)))
    assert away.status is VerdictStatus.HYPOTHESIS_UNMET


def test_claims_are_chosen_by_id_or_by_their_paper() -> None:
    first = next(iter(CLAIMS))
    assert list(Examine((first,)).chosen()) == [first]
    assert first in Examine((first.split(".")[0],)).chosen()
    with pytest.raises(InputError, match="claim 'nobody_1900' is unknown"):
        Examine(("nobody_1900",))


def test_a_check_knows_its_slack() -> None:
    assert Check.at_least("a", 2.0, 1.5).slack == 0.5 and Check.at_most("a", 2.0, 1.5).ok is False
    assert Check.above("a", 1.0, 1.0).ok is False and Check.at_least("a", 1.0, 1.0).ok
    assert not Check.at_least("a", float("nan"), 0.0).ok
    assert "2 against 1.5" in Check.at_most("a", 2.0, 1.5).text
    assert Check.above("a", 3.0, 3.0).text == "a: 3 is not > 3" and Check.at_least("a", 3.0, 3.0).text == "a: 3 ≥ 3"
