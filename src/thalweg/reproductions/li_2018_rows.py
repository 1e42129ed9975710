"""Rows and pictures of the networks: errors, basins, what depth and width change, the order of two thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.li_2018_measures import interval, positive, thresholds
from thalweg.reproductions.li_2018_networks import RULES, Kind, Member, Recipe

KINDS: tuple[Kind, ...] = ("plain", "residual", "dense")
NAMES = {"plain": "without skips", "residual": "residual", "dense": "DenseNet"}

ERRORS: Mapping[tuple[str, int, float], float] = {
    ("residual", 20, 1): 7.37, ("residual", 56, 1): 5.89, ("residual", 110, 1): 5.79,
    ("plain", 20, 1): 8.18, ("plain", 56, 1): 13.31, ("plain", 110, 1): 16.44,
    ("residual", 56, 2): 5.07, ("residual", 56, 4): 4.34, ("residual", 56, 8): 3.93,
    ("plain", 56, 2): 10.26, ("plain", 56, 4): 9.69, ("plain", 56, 8): 8.70,
}  # fmt: skip
"""Test errors in percent on CIFAR-10 by kind, depth and width (§6; from secondary sources)."""

NEAR = 1.0
"""A test error is found again within this many percentage points."""


@dataclass(frozen=True)
class Networks:
    """What was found of every member, by ``MEMBER.NAME``."""

    recipe: Recipe
    data: Mapping[str, np.ndarray]

    def of(self, member: Member, name: str) -> np.ndarray:
        """A measure by network [S]: its mean over the directions where there are several."""
        values = self.data[f"{member}.{name}"]
        return values.reshape(len(values), -1).mean(1)

    def published(self, member: Member) -> float | None:
        """The paper's test error, where these are the paper's network and data."""
        theirs = self.recipe.dataset == "cifar10" and self.recipe.rows is None and self.recipe.base == 1
        return ERRORS.get((member.kind, member.depth, member.width)) if theirs else None

    def error(self, member: Member) -> Finding:
        """The test error of one architecture."""
        ours, published = self.of(member, "test_error"), self.published(member)
        mean = float(ours.mean())
        agrees = None if published is None else abs(mean - published) <= NEAR
        return Finding(
            f"error_{member}", "§6: test error in %", published, mean, _within(interval(ours), 0, 100), agrees
        )

    def basins(self, member: Member, rule: str) -> Finding:
        """How many basins survive around one architecture."""
        ours = self.of(member, f"{rule}.basins")
        where = f"surviving basins, {rule} directions; Sun et al. 2020, Figs. 4, 5"
        return Finding(
            f"basins_{rule}_{member}", where, None, float(ours.mean()), _within(interval(ours, self.step), 0, np.inf)
        )

    @property
    def step(self) -> float:
        """The resolution of a count that is a mean over the directions."""
        return 1 / self.recipe.repeats

    def depth(self, depths: Sequence[int], width: float) -> list[Finding]:
        """What leaving out the skips changes at each depth, and what depth changes without them."""
        rows = []
        for d in depths:
            plain, residual = Member("plain", d, width), Member("residual", d, width)
            rows += [self.error(plain), self.error(residual)]
            for name, what in MEASURES.items():
                away = self.of(plain, f"filter.{name}") - self.of(residual, f"filter.{name}")
                last = d == depths[-1] and len(depths) > 1
                rows.append(
                    self._difference(f"{name}_without_skips_{d}", f"§6: {what}, plain less residual", away, name)
                    if last
                    else self._open(f"{name}_without_skips_{d}", f"{what}, plain less residual", away, name)
                )
        if len(depths) > 1:
            first, deep = Member("plain", depths[0], width), Member("plain", depths[-1], width)
            for name, what in MEASURES.items():
                away = self.of(deep, f"filter.{name}") - self.of(first, f"filter.{name}")
                text = f"§6: {what} without skips, depth {depths[-1]} less {depths[0]}"
                rows.append(self._difference(f"{name}_with_depth", text, away, name))
        return rows

    def width(self, depth: int, widths: Sequence[float]) -> list[Finding]:
        """Errors and basins at every width, and the order of the widths from which on there is one basin."""
        rows = [self.error(Member(kind, depth, w)) for kind in KINDS for w in widths]
        rows += [self.basins(Member(kind, depth, w), rule) for rule in RULES for kind in KINDS for w in widths]
        if len(widths) < 2:
            return rows
        narrow, wide = (Member("plain", depth, w) for w in (widths[0], widths[-1]))
        falls = self.of(narrow, "test_error") - self.of(wide, "test_error")
        text = f"§6: width lowers the error without skips, ×{widths[0]:g} less ×{widths[-1]:g}"
        rows.append(self._difference("error_with_width", text, falls, ""))
        for rule in RULES:
            less = self.of(narrow, f"{rule}.basins") - self.of(wide, f"{rule}.basins")
            text = f"Conj. V.2: many basins where narrow; basins ×{widths[0]:g} less ×{widths[-1]:g}, {rule}"
            rows.append(self._difference(f"basins_with_width_{rule}", text, less, "basins"))
            found: dict[str, np.ndarray] = {kind: self.threshold(kind, rule, depth, widths) for kind in KINDS}
            for kind, name in (("plain", "c1"), ("residual", "c2"), ("dense", "c_dense")):
                text = f"Conj. V.2: log2 of the width from which on one basin survives, {kind}, {rule}"
                rows.append(self._open(f"{name}_{rule}", text, found[kind], "basins"))
            text = f"Conj. V.2: c2 < c1; log2(c1/c2), {rule}"
            rows.append(self._difference(f"order_{rule}", text, found["plain"] - found["residual"], "basins"))
        return rows

    def threshold(self, kind: Kind, rule: str, depth: int, widths: Sequence[float]) -> np.ndarray:
        """log2 of the width from which on one basin survives, by network; the mean over its directions [S]."""
        counts = np.stack([self.data[f"{Member(kind, depth, w)}.{rule}.basins"] for w in widths], axis=-1)
        return thresholds(counts, widths).mean(1)

    def _open(self, claim: str, source: str, values: np.ndarray, name: str) -> Finding:
        """A row of which the sources say nothing."""
        return Finding(claim, source, None, float(values.mean()), interval(values, self._resolution(name)))

    def _difference(self, claim: str, source: str, values: np.ndarray, name: str) -> Finding:
        """A difference that the paper has positive: its row is left open where the interval holds zero."""
        found = interval(values, self._resolution(name))
        return Finding(claim, source, None, float(values.mean()), found, positive(found))

    def _resolution(self, name: str) -> float:
        return self.step if name == "basins" else 0.0

    def panels(self, sheet: str, rule: str, grid: Sequence[Sequence[Member]]) -> tuple[Panel, ...]:
        """The first network's surfaces, a row for each kind; under each its error and its basins."""
        return tuple(
            Panel(
                sheet=sheet,
                row=i,
                column=j,
                arrays=(f"{member}.{rule}.loss",),
                index=(0, 0),
                x="axis",
                y="axis",
                title=f"{NAMES[member.kind]}, depth {member.depth + 2 * (member.kind == 'dense')}, ×{member.width:g}",
                text=f"test error {self.of(member, 'test_error').mean():.1f} %, "
                f"basins {self.of(member, f'{rule}.basins').mean():.3g}",
            )
            for i, row in enumerate(grid)
            for j, member in enumerate(row)
        )


def _within(found: tuple[float, float] | None, low: float, high: float) -> tuple[float, float] | None:
    """The part of an interval that the quantity can take."""
    return None if found is None else (max(found[0], low), min(found[1], high))


MEASURES = {
    "height": "log10 of the surface's median F",
    "nonconvex": "share of cells that curve downwards",
    "basins": "surviving basins",
}
"""How sharp and how far from convex a filter-normalised surface is."""
