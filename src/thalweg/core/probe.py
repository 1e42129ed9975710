"""At the door: what must be true of a network, its data and its loss before anything is computed."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.core.data import Table
from thalweg.core.network import Network
from thalweg.core.tree import Tree, leaves, tree_map
from thalweg.errors import DataError, StatisticsWarning, SubjectError, ThalwegWarning


def first_outputs(network: Network, block: Table) -> Tree:
    """Outputs at the module's own parameters for one row block.

    Raises
    ------
    SubjectError
        If the forward pass fails, or two of them differ: the message says what is random and the remedy.
    """
    named = dict(network.module.named_parameters())
    given = tree_map(torch.clone, block.inputs)  # the user's rows stay what they are, whatever forward does to its own

    def forward() -> Tree:
        with torch.no_grad():
            return network(named, network.buffers, given)

    try:
        first = forward()
    except Exception as error:  # any failure of the user's forward is one line, with their own words
        shapes = ", ".join(f"{n} {list(x.shape)} {x.dtype}" for n, x in leaves(block.inputs, "inputs"))
        line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise SubjectError(
            f"the forward pass fails on {shapes}: {type(error).__name__}: {line}; {_wanted(network, block.inputs)}"
        ) from error
    for (name, before), (_, after) in zip(leaves(block.inputs, "inputs"), leaves(given), strict=True):
        if not torch.equal(before, after):
            raise SubjectError(f"forward changes {name} in place: let it work on a copy, as x = x.clone() gives one")
    _same(first, forward)
    return first


def _wanted(network: Network, inputs: Tree) -> str:
    """What to do about inputs that forward does not take; the keys of a dict that it does not know are named."""
    taken = inspect.signature(network.module.forward).parameters
    unknown = [str(key) for key in inputs if key not in taken] if isinstance(inputs, Mapping) else []
    if not unknown or len(unknown) == len(inputs):
        return "pass the inputs the model takes"
    return f"forward takes {', '.join(taken)} and no {', '.join(unknown)}: leave what it does not take out of the dict"


def warn_of_no_gradient(network: Network, block: Table) -> None:
    """Warn of outputs in which torch sees no parameter: values are right, and every derivative comes out as zero."""
    few = block.at(slice(0, 2)).inputs
    with torch.enable_grad():
        outputs = network(dict(network.module.named_parameters()), network.buffers, tree_map(torch.clone, few))
    if not any(x.requires_grad for _, x in leaves(outputs)):
        warnings.warn(
            "the outputs carry no gradient (detach, no_grad or numpy in forward): values are right, but every "
            "derivative would come out as zero",
            ThalwegWarning,
            stacklevel=4,
        )


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


def check_rows_apart(network: Network, block: Table, outputs: Tree) -> None:
    """The outputs of a row must not depend on the other rows, or F would depend on how rows are cut into blocks.

    Raises
    ------
    SubjectError
        If the outputs of two uneven parts differ from those of the whole; a BatchNorm layer without running
        statistics is let through with a warning, because normalising by the batch at hand is what it does.
    """
    if block.count < 2:
        return
    named = dict(network.module.named_parameters())
    cut = max(1, block.count // 3)
    with torch.no_grad():
        parts = [
            dict(leaves(network(named, network.buffers, block.at(rows).inputs), "outputs"))
            for rows in (slice(0, cut), slice(cut, block.count))
        ]
    for name, whole in leaves(outputs, "outputs"):
        apart = torch.cat([part[name] for part in parts])
        if not whole.is_floating_point() or apart.shape != whole.shape:
            continue
        gap = float((apart - whole).double().nan_to_num(0.0, 0.0, 0.0).abs().max())
        size = float(whole.double().nan_to_num(0.0, 0.0, 0.0).abs().max())
        if gap <= (1e-8 if whole.dtype == torch.float64 else 1e-3) * size:
            continue
        if any(isinstance(m, _BatchNorm) and m.running_mean is None for m in network.module.modules()):
            warnings.warn(
                "a BatchNorm layer keeps no running statistics: every row block is normalised by itself, so F "
                "depends on block_rows; track_running_stats=True offers the other policies",
                StatisticsWarning,
                stacklevel=4,
            )
            return
        raise SubjectError(
            f"{name} of a row changes by {gap:.3g} with the rows evaluated beside it: F would depend on how rows are "
            "cut into blocks; make the model treat each row by itself"
        )
