"""The page's twin: all that the page says, in numbers, and no sentence with a number of its own."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import numpy as np
import pytest

from tests.plot import made
from tests.report.traced import untraced
from thalweg.records import Record
from thalweg.report import Section, page, twin

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {
    "name", "kind", "schema", "summary", "guarantee", "sure", "status", "message", "reading", "note", "fine", "cost",
    "provenance", "values", "arrays", "file",
}  # fmt: skip


def through(sections: list[Section]) -> dict[str, Any]:
    """The twin as a script reads it."""
    found: dict[str, Any] = json.loads(json.dumps(twin("x", sections, created=WHEN), allow_nan=False))
    return found


@pytest.fixture(scope="module")
def told(sections: list[Section]) -> dict[str, Any]:
    return through(sections)


def test_the_keys_are_those_that_are_documented(told: dict[str, Any]) -> None:
    top = {"format", "schema", "thalweg", "created", "subject", "lead", "cost", "sections", "records"}
    assert set(told) == top and told["format"] == "thalweg atlas" and told["schema"] == 1
    for record in told["records"].values():
        assert set(record) == KEYS
        assert set(record["cost"]) == {"forwards", "backwards", "products", "rows", "seconds", "units"}
    assert [key for s in told["sections"] for key in s["records"]] == list(told["records"])
    assert told["cost"]["units"] == pytest.approx(sum(r["cost"]["units"] for r in told["records"].values()))


def test_what_the_page_says_is_what_the_twin_says(sections: list[Section], html: str) -> None:
    text = unescape(re.sub(r"<script.*?</script>", "", html, flags=re.S))
    for record in through(sections)["records"].values():
        parts = [record[key] for key in ("summary", "message", "reading", "sure", "guarantee")] + record["fine"]
        for part in parts:
            assert part in text, part
        assert f"{record['cost']['units']:,.4g}" in text and record["provenance"]["seed"] in text


RECORDS: dict[str, Record] = {
    "run": made.run(),
    "diverged": made.run(diverged=True),
    "plane": made.surface(),
    "line": made.profile(),
    "spectrum": made.spectrum(),
    "basins": made.topology(made.surface()),
}


@pytest.mark.parametrize("name", RECORDS)
def test_every_number_of_a_caption_is_in_the_twin(name: str) -> None:
    record = through([Section("a", "A", "?", {name: RECORDS[name]})])["records"][f"a/{name}"]
    sentences = [record[key] for key in ("summary", "message", "reading")] + record["fine"]
    assert any(re.search(r"\d", sentence) for sentence in sentences)
    assert untraced(record, *sentences) == []


def test_a_number_from_elsewhere_is_found_out() -> None:
    record = through([Section("a", "A", "?", {"it": made.spectrum()})])["records"]["a/it"]
    assert untraced(record, "The largest is 6.45, and 12.5 % lie below -0.0513.") == ["6.45", "12.5 %", "-0.0513"]
    assert untraced(record, "The largest is 6.4, the smallest -0.05.") == []


def test_what_is_not_finite_is_null() -> None:
    loss = made.surface().loss.copy()
    loss[0, 0], loss[1, 1] = np.nan, np.inf
    record = made.surface()
    holed = dataclasses.replace(record, data={**record.data, "loss": loss})
    found = through([Section("a", "A", "?", {"it": holed})])["records"]["a/it"]
    assert found["arrays"]["loss"]["nonfinite"] == 2 and found["arrays"]["loss"]["first"] is None
    assert np.isfinite(found["arrays"]["loss"]["most"]) and found["values"]["nonfinite"] == 2


def test_a_caption_and_a_file_are_kept() -> None:
    sections = [Section("a", "A", "?", {"it": made.run()}, {"it": "My own words."})]
    found = twin("x", sections, files={"it": "records/it.zarr"}, lead="My lead", created=WHEN)
    record = found["records"]["a/it"]
    assert (record["note"], record["file"], found["lead"]) == ("My own words.", "records/it.zarr", "My lead")
    assert "My own words." in page("x", sections, created=WHEN)
