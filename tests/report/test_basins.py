"""The table of basins: what it says, in which order, and that names in it stay text."""

from __future__ import annotations

import numpy as np

from tests.plot import made
from tests.report.test_atlas import Elements, without_library
from thalweg.records import Mark, Topology
from thalweg.report import Section, card, page
from thalweg.report.basins import MOST, basin_lines, basin_reading, basin_rows, basin_table


def noisy(error: float) -> Topology:
    rng = np.random.default_rng(0)
    source = made.surface(lambda a, b: made.wells(a, b) + 0.05 * rng.uniform(-1, 1, a.shape), n=(24, 21))
    return made.topology(source, error=error)


def test_rows_are_those_of_the_record() -> None:
    record = made.topology(error=0.01)
    rows = basin_rows(record, most=record.count)
    assert len(rows) == record.count and [row[0] for row in rows] == [str(i + 1) for i in range(record.count)]
    for row, basin in zip(rows, record.basins, strict=True):
        assert float(row[1]) == float(f"{basin['birth']:.6g}") and int(row[4].replace(",", "")) == basin["area"]
        assert (row[2], row[3]) == ("never", "–") or float(row[2]) == float(f"{basin['death']:.6g}")
        assert row[5] == ("yes" if basin["survives"] else "no")
    assert {row[5] for row in rows} == {"yes", "no"}


def test_a_long_table_shows_survivors_and_counts_the_rest() -> None:
    record = noisy(0.05)
    assert record.count > MOST > record.surviving
    shown = {row[0] for row in basin_rows(record)}
    assert {str(b + 1) for b in np.flatnonzero(record.survives)} <= shown and len(shown) == MOST
    more = f"{record.count - MOST:,} further basins are in the record"
    assert basin_lines(record)[-1] == more and more in basin_table(record) and more in card(record)


def test_no_basin_has_no_table() -> None:
    record = made.topology(made.surface(lambda a, b: np.nan * a))
    assert basin_table(record) == "" and card(record).count("\n") < 12


def test_the_text_lines_up() -> None:
    head, *rows = basin_lines(made.topology())
    assert len({len(line) for line in (head, *rows[:MOST])}) == 1 and head.split("  ")[0].strip() == "Basin"


def test_a_page_of_basins_keeps_names_as_text(hostile: str) -> None:
    marks = (Mark(hostile, (-0.35, 0.0), 0.2), Mark("end", (0.9, 0.0), 0.02))
    record = made.topology(made.surface(made.wells, n=(31, 27), marks=marks, labels=(hostile, "b"), trajectory=False))
    html = without_library(page("basins", [Section("basins", "Basins", "Which?", {"basins": record})]))
    assert hostile not in html and "<img src=x" not in html and "dashed" in basin_reading(record)
    tags = Elements(html).found
    assert sum(tag == "script" for tag, _ in tags) == 3 and sum(tag == "table" for tag, _ in tags) == 3
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert not made.topology(made.profile(names=("a",))).joined
    assert "curve" in basin_reading(made.topology(made.profile()))
