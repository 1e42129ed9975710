"""How to read the figure of a race."""

from __future__ import annotations

from thalweg.plot.escape import places
from thalweg.records.escapes import Race


def race_reading(record: Race) -> str:
    """Curves, table, exponents, and what is not to be read out of them."""
    flat, bent = record.tolerance
    said = (
        "The share of starts whose loss is still above the level, against steps (Kaplan–Meier: a start that was never "
        "seen below it stays in the count). The table has medians until passage, with gradients and products counted "
        "one for each start, the share that escaped with its 95 % Wilson interval, and how many end points were shown "
        f"to be second-order stationary (‖∇F‖ ≤ {flat:.0e}, smallest eigenvalue ≥ −{bent:.2g})."
    )
    if record.settling:
        said += f" An end point lies {record.settling} plain steps beyond the passage, which are not in the medians."
    if record.exponents:
        said += " Exponents come from least squares of logarithms of medians, intervals from drawing starts again."
    shown = list(places(record))
    if len(shown) < len(record.landscapes):
        said += f" Curves of {len(shown)} of the {len(record.landscapes)} landscapes are drawn."
    return f"{said} Constants are practical ones, not tuned to win: each lane names its own."
