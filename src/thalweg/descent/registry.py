"""Every rule by the name the command line knows it by, with settings that run anywhere or fit an objective."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from thalweg.core.added import added
from thalweg.core.objective import Objective
from thalweg.descent.accelerated import PerturbedAGD
from thalweg.descent.adaptive import Adam, RMSProp
from thalweg.descent.cnc import CNCSGD, cnc_pgd
from thalweg.descent.cubic import Cubic
from thalweg.descent.entropy import EntropySGD
from thalweg.descent.gradient import GradientDescent, Momentum
from thalweg.descent.langevin import SGLD
from thalweg.descent.negative_curvature import NegativeCurvature
from thalweg.descent.neon import Neon
from thalweg.descent.noisy import NoisyGD, NormalizedGD
from thalweg.descent.perturbed import Perturbed
from thalweg.descent.random_curvature import RandomCurvature
from thalweg.descent.rule import Rule
from thalweg.descent.saddle_free import SaddleFree
from thalweg.descent.sam import SAM
from thalweg.descent.third_order import ThirdOrder
from thalweg.errors import InputError


def perturbed_momentum(momentum: float = 0.9, lr: float = 0.1, **settings: Any) -> Perturbed:
    """The heavy ball, kicked: practical constants of :class:`thalweg.descent.Perturbed`."""
    return Perturbed.practical(lr=lr, rule=Momentum(lr, momentum), **settings)


def perturbed_adam(lr: float = 1e-2, **settings: Any) -> Perturbed:
    """Adam, kicked. Its growth off a saddle is not lr·curvature; the thresholds are those of lr = 0.1."""
    return Perturbed.practical(rule=Adam(lr), **settings)


_OURS: dict[str, Callable[..., Rule]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "nesterov": partial(Momentum, nesterov=True),
    "rmsprop": RMSProp,
    "adam": Adam,
    "normalized": NormalizedGD,
    "noisy": NoisyGD,
    "sgld": partial(SGLD, temperature=1e-4),
    "perturbed": Perturbed.practical,
    "perturbed_momentum": perturbed_momentum,
    "perturbed_adam": perturbed_adam,
    "perturbed_agd": PerturbedAGD.practical,
    "cnc_pgd": cnc_pgd,
    "cnc_sgd": CNCSGD,
    "entropy": partial(EntropySGD, temperature=1e-4),
    "sam": SAM,
    "saddle_free": SaddleFree,
    "saddle_free_krylov": partial(SaddleFree, rank=20),
    "cubic": Cubic,
    "cubic_krylov": partial(Cubic, rank=20),
    "third_order": ThirdOrder,
    "negative_curvature": NegativeCurvature,
    "neon": Neon,
    "random_curvature": RandomCurvature,
}

GROUP = "thalweg.rules"
"""The entry points by which another package adds rules: each names a constructor like these."""

RULES: dict[str, Callable[..., Rule]] = {**_OURS, **added(GROUP, _OURS)}
"""Constructors by name: every argument is a keyword and has a default, ``lr`` among them where there is a rate."""

GRADIENT_RATE = frozenset(_OURS) - {"rmsprop", "adam", "perturbed_adam", "normalized", "entropy"}
"""Rules whose lr multiplies a gradient, so that it is right in units of the smoothness."""


def named(name: str, **settings: Any) -> Rule:
    """The rule of that name with these settings, and defaults for the others.

    Raises
    ------
    InputError
        If the name is unknown, or the rule has no such setting.
    """
    if name not in RULES:
        raise InputError(f"rule {name!r} is unknown: choose {', '.join(RULES)}")
    taken = settings_of(name)
    unknown = sorted(set(settings) - set(taken))
    if unknown:
        raise InputError(f"rule {name!r} has no setting {unknown[0]!r}: it takes {', '.join(taken)}")
    return RULES[name](**settings)


def fitted(name: str, objective: Objective, smoothness: float, **settings: Any) -> Rule:
    """The rule with what is not given fitted to an objective: lr = 1/(4·smoothness), and its dimension.

    ``smoothness`` is the largest |eigenvalue| of the Hessian where the descent runs. A rule whose rate does not
    multiply a gradient keeps its own; one that has neither setting is as :func:`named` gives it.

    Raises
    ------
    InputError
        As :func:`named`; or if the smoothness is not positive.
    """
    if not 0 < smoothness < float("inf"):
        raise InputError(f"smoothness={smoothness}: it must be positive and finite, as an upper bound of |∇²F|")
    fits: Mapping[str, Any] = {"lr": 1 / (4 * smoothness), "dimension": objective.space.size}
    takes = settings_of(name) if name in RULES else {}
    chosen = {k: v for k, v in fits.items() if k in takes and (k != "lr" or name in GRADIENT_RATE)}
    return named(name, **(chosen | settings))


def settings_of(name: str) -> dict[str, Any]:
    """The settings of a rule and their defaults; what a constructor passes on counts as its own."""
    found: dict[str, Any] = {}
    for key, parameter in inspect.signature(RULES[name]).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found |= {k: v for k, v in settings_of("perturbed").items() if k not in ("rule", "lr")}
        else:
            found[key] = parameter.default
    return found
