"""Which symmetries of a network make null directions of its Hessian: candidates from its layers, each one verified.

Candidates come from the linear layers that one pass over the rows meets, and from what follows each. A candidate counts
only if a product with the Hessian is zero, so that a wrong guess about an architecture costs a product, not the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from thalweg.core.krylov import Matvec
from thalweg.core.layers import Layer, linear_layers
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.space import ParameterSpace
from thalweg.critical.index import Index

SLACK = 1e-8
"""A product below this share of ‖H‖ is that of a null direction; also the share of a singular value that is zero."""

KINDS = ("unused inputs", "dead units", "shift of all outputs", "rescaling of units", "change of basis")


def explained(objective: Objective, theta: Tensor, matvec: Matvec, index: Index) -> dict[str, int]:
    """How many null directions each symmetry adds to those before it, for a network of linear layers.

    "unused inputs": a layer's inputs, with the constant of its bias, span fewer dimensions than it has weights for,
    whether by the rank of the data or because units before it are never active. "dead units": the weights into a unit
    that is inactive on every row. "shift of all outputs": the same vector added to every output, which a softmax does
    not see. "rescaling of units": c·w in and w/c out of a ReLU unit. "change of basis": AW and WA⁻¹ between two linear
    layers. The last two are null directions at critical points only (Dinh et al. 2017, §4; Kawaguchi 2016).
    Empty where the objective is no network.
    """
    risk = objective.objective if isinstance(objective, Metered) else objective
    if not isinstance(risk, EmpiricalRisk):
        return {}
    layers = linear_layers(risk, theta)
    found: dict[str, int] = {}
    known = torch.zeros(0, len(theta), dtype=torch.float64)
    for kind, candidates in _candidates(layers, risk.space, theta):
        if not len(candidates):
            continue
        images = torch.cat([matvec(part) for part in candidates.split(64)])
        zero = max(SLACK * index.norm, index.threshold)
        null = candidates[images.norm(dim=1) <= zero * candidates.norm(dim=1)]
        before = len(known)
        known = _span(torch.cat([known, null]))
        if len(known) > before:
            found[kind] = found.get(kind, 0) + len(known) - before
    return found


def _candidates(layers: list[Layer], space: ParameterSpace, theta: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Directions [m, P] of each kind, layer by layer."""
    named = {n: x.double().cpu() for n, x in space.unravel(theta).items()}
    by_name = {layer.name: layer for layer in layers}
    for layer in layers:
        yield "unused inputs", _unused(layer, space)
    for layer in layers:
        if layer.active is not None:
            yield "dead units", _dead(layer, space)
    if layers:
        yield "shift of all outputs", _shifts(layers[-1], space)
    for layer in layers:
        if layer.before in by_name:
            first = by_name[layer.before]
            kind = "rescaling of units" if first.relu else "change of basis"
            yield kind, (_rescalings if first.relu else _bases)(first, layer, space, named)


def _vector(space: ParameterSpace, parts: Mapping[str, Tensor]) -> Tensor | None:
    """Tensors at their places in a vector [P]; None where one of them is not studied."""
    if any(name not in space.names for name in parts):
        return None
    found = torch.zeros(space.size, dtype=torch.float64)
    for name, part in parts.items():
        found[space[name].span] = part.reshape(-1)
    return found


def _stacked(vectors: list[Tensor | None], size: int) -> Tensor:
    kept = [v for v in vectors if v is not None]
    return torch.stack(kept) if kept else torch.zeros(0, size, dtype=torch.float64)


def _unused(layer: Layer, space: ParameterSpace) -> Tensor:
    x = torch.cat(layer.inputs)
    if layer.module.bias is not None:
        x = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
    values, vectors = torch.linalg.eigh(x.T @ x)
    null = vectors[:, values <= SLACK**1.5 * float(values[-1].clamp(min=1e-300))].T
    rows, width = layer.module.out_features, layer.module.in_features
    found: list[Tensor | None] = []
    for z in null:
        for i in range(rows):
            weight = torch.zeros(rows, width, dtype=torch.float64)
            weight[i] = z[:width]
            parts = {f"{layer.name}.weight": weight}
            if layer.module.bias is not None:
                parts[f"{layer.name}.bias"] = z[width] * torch.eye(rows, dtype=torch.float64)[i]
            found.append(_vector(space, parts))
    return _stacked(found, space.size)


def _dead(layer: Layer, space: ParameterSpace) -> Tensor:
    assert layer.active is not None
    found: list[Tensor | None] = []
    for i in (layer.active <= 0).nonzero()[:, 0].tolist():
        weight = torch.zeros(layer.module.weight.shape, dtype=torch.float64)
        for j in range(layer.module.in_features):
            one = weight.clone()
            one[i, j] = 1.0
            found.append(_vector(space, {f"{layer.name}.weight": one}))
        if layer.module.bias is not None:
            found.append(
                _vector(space, {f"{layer.name}.bias": torch.eye(layer.module.out_features, dtype=torch.float64)[i]})
            )
    return _stacked(found, space.size)


def _shifts(layer: Layer, space: ParameterSpace) -> Tensor:
    found: list[Tensor | None] = []
    for j in range(layer.module.in_features):
        weight = torch.zeros(layer.module.weight.shape, dtype=torch.float64)
        weight[:, j] = 1.0
        found.append(_vector(space, {f"{layer.name}.weight": weight}))
    if layer.module.bias is not None:
        found.append(_vector(space, {f"{layer.name}.bias": torch.ones(layer.module.out_features).double()}))
    return _stacked(found, space.size)


def _rescalings(first: Layer, second: Layer, space: ParameterSpace, named: Mapping[str, Tensor]) -> Tensor:
    found: list[Tensor | None] = []
    for i in range(first.module.out_features):
        parts = {}
        for name in (f"{first.name}.weight", f"{first.name}.bias"):
            if name in named:
                parts[name] = torch.zeros_like(named[name])
                parts[name][i] = named[name][i]
        out = f"{second.name}.weight"
        if out in named:
            parts[out] = torch.zeros_like(named[out])
            parts[out][:, i] = -named[out][:, i]
        found.append(_vector(space, parts))
    return _stacked([v for v in found if v is not None and float(v.norm()) > 0], space.size)


def _bases(first: Layer, second: Layer, space: ParameterSpace, named: Mapping[str, Tensor]) -> Tensor:
    found: list[Tensor | None] = []
    into, out, shift = f"{first.name}.weight", f"{second.name}.weight", f"{first.name}.bias"
    if into not in named or out not in named:
        return _stacked([], space.size)
    width = first.module.out_features
    for i in range(width):
        for j in range(width):
            parts = {into: torch.zeros_like(named[into]), out: torch.zeros_like(named[out])}
            parts[into][i] = named[into][j]
            parts[out][:, j] = -named[out][:, i]
            if shift in named:
                parts[shift] = torch.zeros_like(named[shift])
                parts[shift][i] = named[shift][j]
            found.append(_vector(space, parts))
    return _stacked([v for v in found if v is not None and float(v.norm()) > 0], space.size)


def _span(rows: Tensor) -> Tensor:
    """Orthonormal rows that span the same space."""
    if not len(rows):
        return rows
    _, values, vectors = torch.linalg.svd(torch.nn.functional.normalize(rows, dim=1), full_matrices=False)
    return vectors[values > 1e-7 * values[0]]
