"""What normalising layers give out, and the statistics under which they give out what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.core.network import Network
from thalweg.core.rows import RowBlocks
from thalweg.errors import StatisticsError

TINY = 1e-12
"""A standard deviation below this is none: such a channel is constant."""


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel, float64 [channels]."""

    mean: Tensor
    std: Tensor

    def lerp(self, other: Moments, t: float) -> Moments:
        """(1 − t)·this + t·other; a standard deviation stays at least 0 beyond the ends."""
        return Moments(torch.lerp(self.mean, other.mean, t), torch.lerp(self.std, other.std, t).clamp(min=0))


def given_out(
    network: Network, named: Mapping[str, Tensor], buffers: Mapping[str, Tensor], blocks: RowBlocks
) -> dict[str, Moments]:
    """What each normalising layer gives out over the rows at these parameters and buffers, by name."""
    sums: dict[str, Tensor] = {}

    def see(name: str, layer: Any, x: Tensor, y: Tensor) -> None:
        values = _channels(y)
        new = torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])
        sums[name] = sums[name] + new if name in sums else new

    _run(network, named, buffers, blocks, after=see)
    means = {name: (s / k, q / k) for name, (k, s, q) in sums.items()}
    return {name: Moments(m, (q - m.square()).clamp(min=0).sqrt()) for name, (m, q) in means.items()}


def matched(
    network: Network, named: Mapping[str, Tensor], wanted: Mapping[str, Moments], blocks: RowBlocks
) -> dict[str, Tensor]:
    """Buffers under which each normalising layer gives out the moments that are wanted, by one pass over the rows.

    Each row block is matched by itself on the way and the statistics are averaged over blocks, as in
    :meth:`Network.recalibrated`: with one block the moments are those wanted, to rounding. A channel that is constant,
    or is to be, is only centred.
    """
    buffers = {name: b.clone() for name, b in network.buffers.items()}
    sums: dict[str, Tensor] = {}

    def see(name: str, layer: Any, x: Tensor) -> None:
        values, target = _channels(x), wanted[name]
        mean, std = values.mean(1), values.var(1, unbiased=False).sqrt()
        gain = torch.ones_like(mean) if layer.weight is None else layer.weight.double()
        shift = torch.zeros_like(mean) if layer.bias is None else layer.bias.double()
        usable = (gain.abs() > TINY) & (std > TINY) & (target.std > TINY)
        scale = torch.where(
            usable, gain.abs() * std / torch.where(usable, target.std, 1.0), (std**2 + layer.eps).sqrt()
        )
        centre = mean - torch.where(gain.abs() > TINY, (target.mean - shift) * scale / gain, 0.0)
        new = torch.stack([torch.ones_like(mean), centre, (scale.square() - layer.eps).clamp(min=0)])
        sums[name] = sums[name] + new if name in sums else new
        layer.running_mean.copy_(new[1])  # of our clones: the layer reads them as it runs on this block
        layer.running_var.copy_(new[2])

    _run(network, named, buffers, blocks, before=see)
    for name, (count, centre, variance) in sums.items():
        buffers[f"{name}.running_mean"].copy_(centre / count)
        buffers[f"{name}.running_var"].copy_(variance / count)
    return buffers


def _run(
    network: Network,
    named: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    blocks: RowBlocks,
    *,
    before: Callable[[str, Any, Tensor], None] | None = None,
    after: Callable[[str, Any, Tensor, Tensor], None] | None = None,
) -> None:
    """Run every block; ``before(name, layer, input)`` and ``after(…, output)`` at each normalising layer."""
    seen: set[str] = set()

    def enter(name: str, layer: Any, args: tuple[Any, ...]) -> None:
        if name in seen:
            raise StatisticsError(f"layer {name} runs twice in a forward pass: use --statistics recalibrate")
        seen.add(name)
        if before is not None:
            before(name, layer, args[0])

    handles = []
    for name in network.normalised:
        layer: nn.Module = network.module.get_submodule(name)
        handles.append(layer.register_forward_pre_hook(lambda layer, args, name=name: enter(name, layer, args)))
        if after is not None:
            handles.append(
                layer.register_forward_hook(lambda layer, args, out, name=name: after(name, layer, args[0], out))
            )
    try:
        with torch.no_grad():
            for block in blocks:
                seen.clear()
                network(named, buffers, block.inputs)
    finally:
        for handle in handles:
            handle.remove()


def _channels(x: Tensor) -> Tensor:
    """[rows, channels, …] as float64 [channels, values]."""
    return x.detach().double().transpose(0, 1).flatten(1)
