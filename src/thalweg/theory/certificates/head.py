"""The last linear layer of any network: the features it sees, and F as a function of what it gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thalweg.core.parts import Parts
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.theory.subject import Subject

RANKED = 2048
"""Most samples for which a rank of n features is worked out: its cost grows with the cube."""


@dataclass(frozen=True)
class Head:
    """The layer that gives the network's outputs [n, K] = features [n, d (+ 1)] · layerᵀ, float64.

    ``weight`` and ``bias`` are its tensors by name; with a bias the features have a last column of ones and the layer
    [K, d + 1] the bias as its last column. ``slopes`` are ∂F/∂outputs [n, K].
    """

    weight: str
    bias: str | None
    features: Tensor
    layer: Tensor
    outputs: Tensor
    slopes: Tensor

    @property
    def gradient(self) -> Tensor:
        """∂F/∂layer, [K, d (+ 1)]."""
        return self.slopes.T @ self.features

    def placed(self, layer: Tensor, theta: Tensor, subject: Subject) -> Tensor:
        """Theta [P] with this layer in the place of the last one."""
        found, space, width = theta.clone(), subject.objective.space, self.features.shape[1]
        inner = width if self.bias is None else width - 1
        found[space[self.weight].span] = layer[:, :inner].reshape(-1)
        if self.bias is not None:
            found[space[self.bias].span] = layer[:, inner]
        return found


def head_of(subject: Subject, theta: Tensor | None = None) -> Head:
    """The last layer at the subject's point, or at theta [P].

    Raises
    ------
    InputError
        If the objective has no rows, the network's output is not one matrix that a linear layer of its own gives, or
        that layer is frozen or shared.
    """
    risk = subject.risk
    if risk is None:
        raise InputError("it is a function without layers: this needs the risk of a network")
    at = subject.theta if theta is None else theta
    parts = risk._parts
    if parts.split:
        raise InputError("other processes hold rows as well: give all rows to one")
    name, features, outputs = _passed(risk, at)
    known = {e.name for e in risk.space.entries}
    module = risk.network.module
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    prefix = f"{name}." if name else ""
    weight, bias = f"{prefix}weight", f"{prefix}bias" if layer.bias is not None else None
    uses = sum(p is layer.weight for _, p in module.named_parameters(remove_duplicate=False))
    if uses > 1 or any(n is not None and n not in known for n in (weight, bias)):
        raise InputError(f"the last layer {name or 'Linear'} is frozen or shared: it has to move by itself")
    named = risk.space.unravel(at)
    matrix = named[weight].double()
    if bias is not None:
        features = torch.cat([features, features.new_ones(len(features), 1)], 1)
        matrix = torch.cat([matrix, named[bias].double().unsqueeze(1)], 1)
    return Head(weight, bias, features, matrix, outputs, slopes_at(parts, outputs))


def affordable(rows: int) -> None:
    """Refuse ranks of more samples than :data:`RANKED`.

    Raises
    ------
    InputError
        With the number.
    """
    if rows > RANKED:
        raise InputError(
            f"{rows:,} samples: ranks of features are worked out up to {RANKED:,}; audit on part of the rows"
        )


def shaped(parts: Parts, outputs: Tensor) -> Tensor:
    """Outputs [n, K], or of any shape with as many entries, as the network gives them to the loss."""
    assert isinstance(parts.template, Tensor)
    return outputs.reshape(parts.blocks.table.count, *parts.template.shape[1:])


def slopes_at(parts: Parts, outputs: Tensor) -> Tensor:
    """∂F/∂outputs without the regulariser, as the outputs."""
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        value = parts.loss.sum(shaped(parts, leaf), parts.blocks.table.targets) / parts.z
        return torch.autograd.grad(value, leaf, materialize_grads=True)[0].detach()


def risk_at(parts: Parts, outputs: Tensor) -> float:
    """F of these outputs without the regulariser."""
    with torch.no_grad():
        return float(parts.loss.sum(shaped(parts, outputs), parts.blocks.table.targets) / parts.z)


def _passed(risk: EmpiricalRisk, theta: Tensor) -> tuple[str, Tensor, Tensor]:
    """The name of the linear layer that gives the output, its inputs [n, d] and outputs [n, K] over all rows.

    What follows it may only be a view of what it gave: the same memory in the same order, into which nobody has written
    since. Positions of a sequence are rows.
    """
    seen: list[tuple[str, Tensor, Tensor, int]] = []

    def see(name: str, inputs: Tensor, output: Tensor) -> None:
        seen.append((name, inputs, output, output._version))

    modules = [risk.network.module, risk.network._batch]
    handles = [
        module.register_forward_hook(lambda _, inputs, output, name=name: see(name, inputs[0], output))
        for network in modules
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    named = risk.space.unravel(risk.space.check(theta))
    buffers = risk._parts.buffers(named)
    found: list[tuple[str, Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for block in risk._parts.blocks:
                seen.clear()
                output = risk.network(named, buffers, block.inputs)
                last = [one for one in seen if isinstance(output, Tensor) and _is_view(output, one[2], one[3])]
                if not last:
                    raise InputError("no linear layer gives the network's output: end it with an nn.Linear")
                name, inputs, given, _ = last[-1]
                found.append((name, _flat(inputs), _flat(given)))
    finally:
        for handle in handles:
            handle.remove()
    return found[0][0], torch.cat([one[1] for one in found]).double(), torch.cat([one[2] for one in found]).double()


def _is_view(output: Tensor, given: Tensor, version: int) -> bool:
    same = output.data_ptr() == given.data_ptr() and output.numel() == given.numel()
    return same and output.is_contiguous() and given.is_contiguous() and given._version == version


def _flat(values: Tensor) -> Tensor:
    """One row per vector of the last axis, [n, k]; n is said, since k may be 0."""
    return values.reshape(values.shape[:-1].numel(), values.shape[-1])
