"""How many rows a block has where nobody says it: fewer where a row's graph is large."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.core.data import Table
from thalweg.core.graphs import differentiable_twice
from thalweg.core.network import Network
from thalweg.core.rows import BLOCK_ROWS
from thalweg.core.tree import tree_map

GRAPH_NUMBERS = 2**26
"""Numbers that autograd keeps for one block's outputs, at most: 256 MiB in float32. Products keep a few times that."""

FEW = 2
"""Rows by which, and by twice as many, the numbers of a row are counted: what all rows share drops out."""


def rows_of_a_block(network: Network, table: Table) -> int:
    """The largest power of two, up to 1,024, whose graph has at most GRAPH_NUMBERS numbers; at least 1.

    Numbers are counted and not bytes, through kernels that every device has: so a block is one of the model and of the
    shape of a row, whatever the dtype and the memory. A network that may normalise each block by itself keeps 1,024,
    because there a block is part of what F is.
    """
    few = min(FEW, table.count // 2)
    if not few or any(isinstance(module, _BatchNorm) for module in network.module.modules()):
        return BLOCK_ROWS
    try:
        less, more = (_kept(network, table.at(slice(0, n))) for n in (few, 2 * few))
    except Exception:  # the checks at the door say in words what fails
        return BLOCK_ROWS
    room = GRAPH_NUMBERS // max(1, (more - less) // few)
    return min(BLOCK_ROWS, 1 << max(0, room.bit_length() - 1))


def _kept(network: Network, rows: Table) -> int:
    """Numbers that autograd keeps for the outputs of these rows, each storage once."""
    kept: dict[int, tuple[Tensor, int]] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = x.detach(), storage.nbytes() // x.element_size()  # held, or its place is used again
        return x.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), differentiable_twice():
        network(dict(network.module.named_parameters()), network.buffers, tree_map(torch.clone, rows.inputs))
    return sum(numbers for _, numbers in kept.values())
