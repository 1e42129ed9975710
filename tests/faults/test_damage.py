"""One fault per row: what it harms, the one line that is said, and what goes on afterwards with the same bits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from benchmarks.faults.damage import FAULTS, PLANE, Fault, inject
from benchmarks.faults.forked import run
from benchmarks.faults.kills import command


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    """Finished studies by command."""
    found = {}
    for asked in {fault.command for fault in FAULTS if not any(part.endswith(":make") for part in fault.command)}:
        found[asked] = tmp_path_factory.mktemp("whole") / "study"
        assert run(command([*asked, "--out", str(found[asked])])).code == 0
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_one_line_and_nothing_is_lost(
    fault: Fault, folder: Path, whole: dict[tuple[str, ...], Path]
) -> None:
    assert inject(fault, folder, whole.get(fault.command))[0] == []


def test_a_fault_that_is_not_noticed_is_found_out(folder: Path, whole: dict[tuple[str, ...], Path]) -> None:
    silent = dataclasses.replace(FAULTS[0], harm=lambda study: None)
    wrong, _ = inject(silent, folder, whole[PLANE])
    assert any("exit code 0" in line for line in wrong)
