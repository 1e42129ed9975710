"""A point with the same function and other weights: one layer times a factor, the next divided by it."""

from __future__ import annotations

from torch import Tensor

from thalweg.core.layers import linear_layers
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk

FACTOR = 10.0


def rescaled(objective: Objective, theta: Tensor, factor: float = FACTOR) -> tuple[Tensor | None, str]:
    """The rescaled point [P] and the rescaling in words; None and why where the network offers none.

    Units of a ReLU layer let a positive factor through (Dinh et al. 2017, §4): weights and bias into them are
    multiplied by ``factor``, weights out of them divided. F is compared at both points before the pair is believed.
    """
    risk = objective.objective if isinstance(objective, Metered) else objective
    if not isinstance(risk, EmpiricalRisk):
        return None, "no layers to rescale: the objective is no network"
    layers = {layer.name: layer for layer in linear_layers(risk, theta)}
    space = objective.space
    for second in layers.values():
        first = layers.get(second.before or "")
        names = [f"{first.name}.weight", f"{second.name}.weight"] if first is not None else []
        if first is None or not first.relu or any(name not in space.names for name in names):
            continue
        bias = f"{first.name}.bias"
        if first.module.bias is not None and bias not in space.names:
            continue
        found = theta.clone()
        for name in (names[0], bias):
            if name in space.names:
                found[space[name].span] *= factor
        found[space[names[1]].span] /= factor
        before, after = (float(objective.losses(x[None])[0]) for x in (theta, found))
        if abs(after - before) <= 1e-4 * max(abs(before), 1e-8):
            return found, f"layer {first.name} × {factor:g}, layer {second.name} ÷ {factor:g}"
    return None, "no pair of layers with a ReLU between them was met, so invariance was not tried"
