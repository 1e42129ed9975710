"""What every benchmark shares: interleaved medians, tables for the terminal and for docs/performance.md."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Table:
    """A title, a heading and rows of text; ``note`` says how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        """For a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join(["", self.title, *body, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """For a page."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        return f"### {self.title}\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")


def interleaved(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every work, ``repeats`` times in turn after one run each that is not counted."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            clock = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - clock)
    return times


def median(times: Sequence[float]) -> float:
    return statistics.median(times)


def ratio(base: Sequence[float], other: Sequence[float], share: float = 1.0) -> str:
    """How many times faster ``other`` is, by medians and, in brackets, by the least of each."""
    return f"{share * median(base) / median(other):.2f}× [{share * min(base) / min(other):.2f}]"


@contextmanager
def threads(count: int):
    kept = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(kept)


def machine() -> str:
    """Processor, cores and versions; no names of hosts."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = f"{named[0]}, {len(named)} cores" if named else model
    return f"{model}; Python {platform.python_version()}, torch {torch.__version__}"
