"""The table of an audit: every verdict in it, escaped, what applies first."""

from __future__ import annotations

import dataclasses

import thalweg as tw
from thalweg.records import Audit, Check, Guarantee, Verdict, VerdictStatus
from thalweg.report import card
from thalweg.report.audit import audit_lines
from thalweg.report.figures import figure
from thalweg.report.told import Told
from thalweg.theory import audit


def made() -> Audit:
    objective = tw.zoo.deep_linear()
    unmet = Verdict("a.<b>", VerdictStatus.HYPOTHESIS_UNMET, (Check.at_most("norm <x>", 2.0, 1.0),), "nothing")
    holds = Verdict("c.d", VerdictStatus.HOLDS, (Check.given("yes", True),), "F ≤ 1", guarantee=Guarantee.EXACT)
    return dataclasses.replace(audit(objective, objective.initial), verdicts=(unmet, holds))


def test_what_applies_comes_first_and_names_are_escaped() -> None:
    html = figure("audit", made(), Told.of("audit", made()))
    assert html.index("c.d") < html.index("a.&lt;b&gt;") and "norm &lt;x&gt;: 2 against 1" in html
    assert "<b>" not in html and "F ≤ 1" in html


def test_the_card_has_the_table() -> None:
    said = card(made())
    assert "2 statements: 1 holds, 1 hypothesis unmet." in said
    assert said.index("holds  ") < said.index("hypothesis unmet  ") and "norm <x>: 2 against 1" in said


def test_what_is_refused_for_the_same_reason_is_said_once() -> None:
    record = made()
    unmet = record.verdicts[0]
    others = [dataclasses.replace(unmet, claim=f"other_{i}.claim-with-a-long-name") for i in range(6)]
    apart = dataclasses.replace(unmet, claim="e.f", checks=(Check.at_most("norm <x>", 3.0, 1.0),))
    lines = audit_lines(dataclasses.replace(record, verdicts=(unmet, apart, *others)))
    text = "\n".join(lines)
    assert text.count("norm <x>: 2 against 1") == 1 == text.count("norm <x>: 3 against 1")
    assert max(map(len, lines)) <= 100 and text.count("hypothesis unmet") == 2
    assert all(v.claim in text for v in (unmet, apart, *others))
    assert text.index("other_5.claim") < text.index("norm <x>: 2") < text.index("e.f") < text.index("norm <x>: 3")


def test_the_guarantee_is_that_of_what_holds() -> None:
    record = made()
    assert record.guarantee is Guarantee.EXACT
    assert dataclasses.replace(record, verdicts=record.verdicts[:1]).guarantee is None
