"""The floors that the design describes are those that the import contract enforces."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_floors_of_the_design_are_those_of_the_import_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    rows = re.findall(r"^\| (\d+) \|([^|]+)\|", (ROOT / "docs" / "design.md").read_text(encoding="utf-8"), re.M)
    assert [int(floor) for floor, _ in rows] == list(reversed(range(len(rows))))
    assert [set(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows] == [
        set(x.split(" | ")) for x in contract["layers"]
    ]
