"""Constants that every rule of a race runs with, from what is known of the point that it is to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from thalweg.critical.escape.centre import Centre
from thalweg.descent import Adam, GradientDescent, Momentum, RMSProp, Rule


@dataclass(frozen=True)
class Setting:
    """What constants are made from: P, ℓ, γ = −λ_min, ρ (None: unknown), how far F has to fall, rows of the data."""

    dimension: int
    smoothness: float
    curvature: float
    hessian_lipschitz: float | None
    height: float
    rows: int

    @classmethod
    def of(cls, at: Centre, rows: int) -> Setting:
        """The setting of a centre."""
        height = at.value - at.level
        return cls(at.theta.numel(), at.smoothness, at.curvature, at.hessian_lipschitz, height, rows)

    @property
    def lr(self) -> float:
        """A quarter of 1/ℓ."""
        return 1 / (4 * self.smoothness)

    @property
    def lipschitz(self) -> float:
        """ρ, or twice ℓ where it is unknown: the two are of one order where the point is of order one."""
        return 2 * self.smoothness if self.hessian_lipschitz is None else self.hessian_lipschitz

    def __str__(self) -> str:
        known = "" if self.hessian_lipschitz is None else f", ρ = {self.hessian_lipschitz:.4g}"
        return f"ℓ = {self.smoothness:.4g}, γ = {self.curvature:.4g}{known}"


@dataclass(frozen=True)
class Preset:
    """A rule's practical constants and how they were chosen; ``theory`` prints those of its theorem.

    ``small`` is the most parameters it takes; ``rows`` says that it needs data to draw from.
    """

    build: Callable[[Setting], Rule]
    tuning: str = "none: formulas in ℓ and γ"
    theory: Callable[[Setting], str] | None = None
    small: int | None = None
    rows: bool = False

    def refuses(self, setting: Setting) -> str | None:
        """Why it cannot run there; None where it can."""
        if self.small is not None and setting.dimension > self.small:
            return f"takes at most {self.small} parameters, here are {setting.dimension:,}"
        if self.rows and setting.rows < 2:
            return "draws rows of data, and a formula has none"
        return None


PRESETS: Mapping[str, Preset] = {
    "gradient_descent": Preset(lambda s: GradientDescent(s.lr)),
    "heavy_ball": Preset(lambda s: Momentum(s.lr, 0.9)),
    "nesterov": Preset(lambda s: Momentum(s.lr, 0.9, nesterov=True)),
    "rmsprop": Preset(lambda s: RMSProp(1e-2), "none: a rate of 0.01"),
    "adam": Preset(lambda s: Adam(1e-2), "none: a rate of 0.01"),
}
"""Every rule of the race by name, in the order in which `all` runs them."""


def constants(rule: Any) -> str:
    """A rule with its constants on one line, defaults and unset ones left out."""
    if not is_dataclass(rule):
        return f"{rule:.4g}" if isinstance(rule, float) else str(rule)
    said = []
    for f in fields(rule):
        value = getattr(rule, f.name)
        if value is not None and (value != f.default or f.name == "lr"):
            said.append(f"{f.name}={constants(value)}")
    return f"{type(rule).__name__}({', '.join(said)})"
