"""``python -m benchmarks [NAME …] [--quick] [--write]``: run some benchmarks, or all, and print their tables.

``--write`` puts the tables into docs/performance.md; those of benchmarks that were not run stay as they were.
"""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

from benchmarks.harness import Table, machine

NAMES = (
    "imports",
    "roofline",
    "planes",
    "backends",
    "ensembles",
    "escape",
    "memory",
    "large",
    "segments",
    "topology",
    "products",
    "recorder",
    "distributed",
    "kernels",
    "peers",
    "gpu",
)
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def write(name: str, tables: list[Table]) -> None:
    """Replace a benchmark's section of the page."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    body = "\n".join(table.markdown() for table in tables)
    section = f"{begin}\n\n{body}\n_{machine()}._\n\n{end}"
    if begin not in page:
        page = f"{page.rstrip()}\n\n{section}\n"
    PAGE.write_text(re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, page, flags=re.DOTALL))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    given = parser.parse_args()
    for name in given.names or NAMES:
        tables = importlib.import_module(f"benchmarks.{name}").main(quick=given.quick)
        for table in tables:
            print(table.text(), flush=True)
        if given.write and tables and not given.quick:
            write(name, tables)


if __name__ == "__main__":
    main()
