"""Studies whose uninterrupted form is worked out once, in a folder that any user may read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.faults import forked


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    forked.load()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="faults-"))  # that of pytest is closed to others than its owner
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)
