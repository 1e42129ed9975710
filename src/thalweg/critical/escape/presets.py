"""Constants that every rule of a race runs with, from what is known of the point that it is to leave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

from thalweg.core.objective import Objective
from thalweg.critical.escape.centre import Centre
from thalweg.descent import RULES, Assumptions, Library, PerturbedAGD, Rule, fitted
from thalweg.descent.baselines import STOPS
from thalweg.descent.registry import settings_of
from thalweg.errors import InputError

SMALL = 256
"""Rules that take the whole Hessian take at most so many parameters."""

FAILURE = 0.1
"""The probability of failure that the constants of theory are printed for."""


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
        """1/(4ℓ), the rate of every rule whose rate multiplies a gradient."""
        return 1 / (4 * self.smoothness)

    @property
    def lipschitz(self) -> float:
        """ρ, or twice ℓ where it is unknown: the two are of one order where the point is of order one."""
        return 2 * self.smoothness if self.hessian_lipschitz is None else self.hessian_lipschitz

    @property
    def assumed(self) -> Assumptions:
        """What theorems are told: the accuracy ε at which √(ρε) is half of γ."""
        accuracy = min(self.curvature, self.smoothness) ** 2 / (4 * self.lipschitz)
        return Assumptions(self.smoothness, self.lipschitz, accuracy, 2 * self.height, FAILURE, self.dimension)

    def __str__(self) -> str:
        rho = "unknown, 2ℓ taken" if self.hessian_lipschitz is None else f"{self.hessian_lipschitz:.4g}"
        return f"P = {self.dimension:,}, ℓ = {self.smoothness:.4g}, γ = {self.curvature:.4g}, ρ = {rho}"


Settings = Callable[[Setting], Mapping[str, Any]]


@dataclass(frozen=True)
class Preset:
    """A rule's practical settings beside the rate 1/(4ℓ), how they were chosen, and the constants of its theorem.

    ``rule`` is its name in the registry, or a method of :class:`thalweg.descent.Library`. ``small`` is the most
    parameters it takes, ``batch`` the rows of a step (None: all). ``work`` is what a step costs in gradients' worth, a
    product two.
    """

    rule: str
    settings: Settings = field(default=lambda setting: {})
    tuning: str = "no tuning"
    theory: Callable[[Setting], str] | None = None
    work: Callable[[Setting], float] = field(default=lambda setting: 1.0)
    small: int | None = None
    rows: bool = False
    batch: int | None = None

    def build(self, objective: Objective, setting: Setting, given: Mapping[str, Any] | None = None) -> Rule | Library:
        """The rule for this setting; ``given`` constants replace the preset's."""
        if self.rule in STOPS:
            return Library(self.rule)
        return fitted(self.rule, objective, setting.smoothness, **{**self.settings(setting), **(given or {})})

    def refuses(self, setting: Setting) -> str | None:
        """Why it cannot run there; None where it can."""
        if self.small is not None and setting.dimension > self.small:
            return f"takes at most {self.small} parameters, here are {setting.dimension:,}"
        if self.rows and setting.rows < 2:
            return "draws rows of data, and a formula has none"
        return None


def taken_by(rule: str) -> Mapping[str, Any]:
    """The constants that may be given to a rule, with their defaults; libraries keep their own."""
    return {} if rule in STOPS else settings_of(rule)


def variants(rule: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of ``given`` constants those that a rule takes, once for every combination of listed values."""
    taken = {key: value for key, value in given.items() if key in taken_by(rule)}
    lists = [value if isinstance(value, (list, tuple)) else [value] for value in taken.values()]
    return [dict(zip(taken, values, strict=True)) for values in itertools.product(*lists)]


def perturbed_theory(setting: Setting) -> str:
    """The constants of Jin et al. 2017, Algorithm 2, at c = 1, and the steps that they may take."""
    try:
        k = setting.assumed.perturbed()
        return f"{_listed(k)}; up to {setting.assumed.steps():.2g} steps"
    except InputError as error:
        return f"none: {error}"


def accelerated_theory(setting: Setting) -> str:
    """The constants of Jin, Netrapalli & Jordan 2018 at c = 1."""
    try:
        return constants(PerturbedAGD.theory(setting.assumed))
    except InputError as error:
        return f"none: {error}"


def _curved(setting: Setting) -> Mapping[str, Any]:
    return {"curvature": setting.curvature}


def _noise(setting: Setting) -> Mapping[str, Any]:
    """Noise whose mean excess of F on a quadratic bowl, lr·scale²/4, is a tenth of the fall that is asked for."""
    return {"scale": (0.4 * setting.height / setting.lr) ** 0.5}


def _temperature(setting: Setting) -> Mapping[str, Any]:
    """The temperature whose mean excess of F on a quadratic bowl, T·P/2, is a tenth of the fall that is asked for."""
    return {"temperature": setting.height / (5 * setting.dimension)}


def _entropy(setting: Setting) -> Mapping[str, Any]:
    """γ of the local entropy equal to ℓ, so that no negative curvature exceeds it; steps that are stable for both."""
    gamma = setting.smoothness
    return {
        "gamma": gamma,
        "lr": 1 / gamma,
        "inner_lr": 1 / (4 * (setting.smoothness + gamma)),
        **_temperature(setting),
    }


def _searching(setting: Setting) -> Mapping[str, Any]:
    """What a search for negative curvature is told; it begins where a kick of 1e-3 would make the gradient."""
    known = {"curvature": setting.curvature, "lipschitz": setting.lipschitz}
    return {"lr": setting.lr, "tolerance": 1e-3 * setting.curvature, **known}


def _any_negative(setting: Setting) -> Mapping[str, Any]:
    """The same, for a single random direction: it is never as curved as the most curved one."""
    return {**_searching(setting), "curvature": 1e-3 * setting.curvature}


KRYLOV = 20
"""Directions of the Krylov spaces."""

INNER = 20
"""Steps of the walk inside Entropy-SGD."""


def _twice(setting: Setting) -> float:
    return 2.0


def _whole(setting: Setting) -> float:
    return 1.0 + 2 * setting.dimension


def _krylov(setting: Setting) -> float:
    return 1.0 + 2 * min(KRYLOV, setting.dimension)


def _library(method: str, **options: Any) -> Preset:
    stops = ", ".join(f"{name} = {value:g}" for name, value in STOPS[method].items())
    whose = "torch" if method == "lbfgs" else "SciPy"
    return Preset(method, tuning=f"{whose}'s defaults, among them its stops {stops}; one start at a time", **options)


_PRESETS = {
    "gradient_descent": Preset("gradient_descent"),
    "momentum": Preset("momentum"),
    "nesterov": Preset("nesterov"),
    "rmsprop": Preset("rmsprop", lambda s: {"lr": 1e-2}, "rate 0.01, no tuning"),
    "adam": Preset("adam", lambda s: {"lr": 1e-2}, "rate 0.01, no tuning"),
    "normalized": Preset("normalized", tuning="rate and noise 0.01, no tuning"),
    "noisy": Preset("noisy", _noise, "noise lifts F by a tenth of the fall, no tuning"),
    "sgld": Preset("sgld", _temperature, "temperature lifts F by a tenth of the fall, no tuning"),
    "perturbed": Preset("perturbed", _curved, theory=perturbed_theory),
    "perturbed_momentum": Preset("perturbed_momentum", _curved),
    "perturbed_adam": Preset("perturbed_adam", _curved, "rate 0.01, no tuning"),
    "perturbed_agd": Preset("perturbed_agd", _curved, theory=accelerated_theory, work=_twice),
    "entropy": Preset(
        "entropy", _entropy, "γ of the entropy is ℓ, temperature as sgld, no tuning", work=lambda s: INNER
    ),
    "sam": Preset("sam", tuning="radius 0.05, no tuning", work=_twice),
    "saddle_free": Preset("saddle_free", work=_whole, small=SMALL),
    "saddle_free_krylov": Preset(
        "saddle_free_krylov", lambda s: {"rank": KRYLOV}, "20 products a step, no tuning", work=_krylov
    ),
    "saddle_free_gradient": Preset(
        "saddle_free_krylov",
        lambda s: {"rank": KRYLOV, "seed": "gradient"},
        "a control: grown from the gradient alone",
        work=_krylov,
    ),
    "cubic": Preset("cubic", lambda s: {"lipschitz": s.lipschitz}, work=_whole, small=SMALL),
    "cubic_krylov": Preset(
        "cubic_krylov", lambda s: {"rank": KRYLOV}, "20 products a step, σ adapts, no tuning", work=_krylov
    ),
    "negative_curvature": Preset("negative_curvature", lambda s: {**_searching(s), "rank": KRYLOV}),
    "neon": Preset("neon", _searching),
    "random_curvature": Preset(
        "random_curvature", _any_negative, "a surrogate for an unpublished algorithm (Das & Chaudhuri 2018), no tuning"
    ),
    "third_order": Preset(
        "third_order",
        lambda s: {"lipschitz": s.lipschitz},
        "L = 10, no tuning",
        work=lambda s: 1.0 + 6 * s.dimension,
        small=20,
    ),
    "cnc_pgd": Preset("cnc_pgd", _curved, rows=True),
    "lbfgs": _library("lbfgs"),
    "trust-krylov": _library("trust-krylov", work=_krylov),
    "trust-exact": _library("trust-exact", work=_whole, small=SMALL),
    "cnc_sgd": Preset(
        "cnc_sgd",
        lambda s: {"long": 4 * s.lr},
        "a row a step, every 50th of length 1/ℓ, no tuning; F is looked at now and then",
        rows=True,
        batch=1,
    ),
}

PRESETS: Mapping[str, Preset] = _PRESETS | {name: Preset(name) for name in RULES if name not in _PRESETS}
"""Every rule of the race by name, in the order in which ``all`` runs them; without an entry above by its defaults."""


def constants(rule: Any) -> str:
    """A rule with its constants on one line; what is unset or as by default is left out, but for the rate."""
    if not is_dataclass(rule):
        return f"{rule:.4g}" if isinstance(rule, float) else str(rule)
    said = []
    for f in fields(rule):
        value = getattr(rule, f.name)
        plain = f.default_factory() if f.default_factory is not MISSING else f.default
        if value is not None and (value != plain or f.name == "lr"):
            said.append(f"{f.name}={constants(value)}")
    return f"{type(rule).__name__}({', '.join(said)})"


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:.3g}" for name, value in values.items())
