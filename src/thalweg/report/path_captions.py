"""How to read the figures of paths."""

from __future__ import annotations

from thalweg.records import Connection, Path


def path_reading(record: Path) -> str:
    """F along one path, and how it grew where it did."""
    said = "F along the path against the share of its length; dots are its beads, the dashed line is the level."
    if "segment_depth" in record.data:
        said += " Below, the string of every depth: a bead was inserted wherever a segment rose above the level."
    return said


def connection_reading(record: Connection) -> str:
    """F along every method's path, and their largest values against their lengths."""
    said = (
        "F along each method's path, and the largest F of each against its length: lower and further left is better. "
        "All methods had the same budget."
    )
    return f"{said} Left out: {', '.join(record.skipped)}." if record.skipped else said
