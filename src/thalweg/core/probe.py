"""At the door: what must be true of a network, its data and its loss before anything is computed."""

from __future__ import annotations

from collections.abc import Callable

import torch

from thalweg.core.data import Table
from thalweg.core.network import Network
from thalweg.core.tree import Tree, leaves
from thalweg.errors import DataError, SubjectError


def first_outputs(network: Network, block: Table) -> Tree:
    """Outputs at the module's own parameters for one row block.

    Raises
    ------
    SubjectError
        If the forward pass fails, or two of them differ: the message says what is random and the remedy.
    """
    named = dict(network.module.named_parameters())

    def forward() -> Tree:
        with torch.no_grad():
            return network(named, network.buffers, block.inputs)

    try:
        first = forward()
    except Exception as error:  # any failure of the user's forward is one line, with their own words
        shapes = ", ".join(f"{n} {list(x.shape)} {x.dtype}" for n, x in leaves(block.inputs, "inputs"))
        line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise SubjectError(
            f"the forward pass fails on {shapes}: {type(error).__name__}: {line}; pass the inputs the model takes"
        ) from error
    _same(first, forward)
    return first


def _same(first: Tree, again: Callable[[], Tree]) -> None:
    second = dict(leaves(again(), "outputs"))
    for name, tensor in leaves(first, "outputs"):
        if not torch.equal(torch.nan_to_num(tensor), torch.nan_to_num(second[name])):
            gap = float((tensor - second[name]).abs().max())
            raise SubjectError(
                f"two forward passes in eval mode differ by {gap:.3g} in {name}: the model draws random numbers; "
                "turn them off in eval mode or fix them before handing it over"
            )


def check_rows(table: Table, outputs: Tree) -> None:
    """Outputs must have one entry per row.

    Raises
    ------
    DataError
        If an output's first axis is not the number of rows of its block.
    """
    for name, tensor in leaves(outputs, "outputs"):
        if tensor.ndim == 0 or len(tensor) != table.count:
            raise DataError(
                f"{name} has shape {list(tensor.shape)} for {table.count} rows: the first axis must be the row"
            )
