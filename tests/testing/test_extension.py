"""The example package keeps the contracts, and is found by name once it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from thalweg.core.added import added
from thalweg.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "examples" / "extension"


def installed(folder: Path, points: dict[str, dict[str, str]], name: str = "thalweg_example") -> None:
    """What pip leaves of a package beside its files: its name and its entry points."""
    info = folder / f"{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in each.items()) for group, each in points.items()]
    (info / "entry_points.txt").write_text("\n\n".join(lines) + "\n")


def test_the_example_package_keeps_every_contract_and_is_found_by_name(tmp_path: Path) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    installed(tmp_path, project["entry-points"])
    path = os.pathsep.join([str(tmp_path), str(EXAMPLE / "src"), *sys.path])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLE / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(done.stdout.strip().splitlines()[-1].split(" passed")[0].split()[-1])
    assert passed >= 34  # five contracts' checks; one that is not collected does not fail


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ({"thalweg.rules": {"adam": "mine:Adam"}}, "thalweg.rules 'adam': mine:Adam has the name of another"),
        ({"thalweg.rules": {"new": "nowhere_to_be_found:Rule"}}, "nowhere_to_be_found:Rule cannot be loaded"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: dict[str, dict[str, str]], text: str
) -> None:
    installed(tmp_path, points, "mine")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=text):
        added("thalweg.rules", ["adam"])["new"]()
