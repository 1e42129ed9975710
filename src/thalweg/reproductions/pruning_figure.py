"""The figure of pruning: curves of every width, and what they say by the width."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.records.reproductions import Panel
from thalweg.reproductions.parts import side_by_side


def panels(widths: Sequence[int]) -> tuple[Panel, ...]:
    """Accuracy and loss against the share removed; what can be removed, and the barriers, against the width."""
    sheet, labels = "Weights removed, smallest first", tuple(f"{w} units" for w in widths)
    found: list[Panel] = []
    for row, (end, what) in enumerate((("", "test accuracy"), ("_loss", "training loss"))):
        kinds = ((f"pruned{end}", f"{what}, pruned at once"), (f"again{end}", f"{what}, trained again"))
        drawn = [(title, [f"{w}.{name}.mean" for w in widths], labels) for name, title in kinds]
        found += side_by_side(sheet, "share", *drawn, text="share removed", row=row, linear=row == 0)
    ends = ("to it pruned", "to it trained again", "between two starts")
    heights = tuple(f"highest.{n}" for n in ("pruned", "again", "other"))
    kept = (
        ("removable share", ("removable.pruned", "removable.again"), ("at once", "trained again")),
        ("highest barrier, mean over networks", heights, ends),
    )
    for row, drawn_ in enumerate(kept):
        found += side_by_side(sheet, "width", drawn_, text="hidden units", row=row, first=2)
    return tuple(found)
