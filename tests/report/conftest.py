"""One page with every kind of record and hostile names, made once for all tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.plot import made
from thalweg.records import Mark
from thalweg.report import Section, page

HOSTILE = '</script><script>alert("x")</script><!-- <img src=x onerror=alert(1)> \u2028 $a_{ %{x}'


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def sections() -> list[Section]:
    meta = made.provenance(HOSTILE, (HOSTILE,), notes=(HOSTILE,), statistics=HOSTILE, backend=HOSTILE, reason=HOSTILE)
    marks = (Mark(HOSTILE, (0.2, -0.1), 0.3), Mark("end", (0.0, 0.0), 0.02))
    bad = made.surface(marks=marks, labels=(HOSTILE, "second"), provenance=meta)
    return [
        Section("training", "Training", "How?", {"train": made.run(names=(HOSTILE, "seed 1"))}),
        Section("surface", "Surface <b>", f"What {HOSTILE}?", {"plane": bad}, {"plane": f"A caption {HOSTILE}."}),
        Section("profiles", "Profiles", "Where?", {"line": made.profile(names=("seed 0",)), "pair": made.profile()}),
        Section("spectrum", "Spectrum", "How curved?", {"spectrum": made.spectrum(), HOSTILE: made.spectrum()}),
    ]


@pytest.fixture(scope="session")
def html(sections: list[Section]) -> str:
    return page(
        f"a subject {HOSTILE}",
        sections,
        files={"plane": f"records/{HOSTILE}"},
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
