"""The linear layers of a network as one pass over the rows meets them, and what lies between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk


@dataclass
class Layer:
    """A linear layer as one pass met it: inputs [n, d] of all rows, the layer before it, and whether a ReLU follows."""

    name: str
    module: nn.Linear
    inputs: list[Tensor] = field(default_factory=list)
    before: str | None = None
    active: Tensor | None = None  # the largest input of the ReLU that follows, per unit
    relu: bool = False


def linear_layers(risk: EmpiricalRisk, theta: Tensor) -> list[Layer]:
    """The ``nn.Linear`` layers in the order of the pass, with their inputs over all rows.

    What lies between two of them is seen where it is a module (``nn.ReLU``), not where it is a function.
    """
    layers: dict[str, Layer] = {}
    made: list[tuple[Tensor, str]] = []

    def seen(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        source = next((n for tensor, n in made if tensor is inputs[0]), None)
        if isinstance(module, nn.Linear):
            layer = layers.setdefault(name, Layer(name, module))
            layer.inputs.append(_rows(inputs[0]).double().cpu())
            layer.before = source
            made.append((output, name))
        elif source in layers:
            layer = layers[source]
            layer.relu = True
            # An in-place ReLU has already overwritten its input; what is zero after it was not positive before.
            largest = _rows(output).amax(0).double().cpu()
            layer.active = largest if layer.active is None else torch.maximum(layer.active, largest)
            made.append((output, source))

    modules = {n: m for n, m in risk.network.module.named_modules() if isinstance(m, (nn.Linear, nn.ReLU))}
    handles = [
        m.register_forward_hook(lambda module, inputs, output, n=n: seen(n, module, inputs, output))
        for n, m in modules.items()
    ]
    try:
        risk.outputs(theta)
    finally:
        for handle in handles:
            handle.remove()
    return list(layers.values())


def _rows(x: Tensor) -> Tensor:
    """All but the last axis as one; of a layer without inputs or units, -1 would be any number."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
