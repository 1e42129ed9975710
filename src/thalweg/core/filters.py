"""What the filters of a tensor are: the rule of every kind of layer, stated once.

A filter holds all weights into one output (Li et al. 2018, §4). What "output" means depends on the layer that owns the
tensor, and on nothing else:

====================================  =======================================================================
tensor                                one filter
====================================  =======================================================================
Linear, Bilinear, Conv1–3d            one slice along axis 0: also of grouped and depthwise convolutions
ConvTranspose1–3d [in, out/g, …]      one output channel: the inputs of its group, all of its kernel
Embedding, EmbeddingBag               one row: the vector of one token
MultiheadAttention, fused or not      one row of a query, key or value matrix; ``norm="head"``: one head's matrix
RNN, LSTM, GRU and their cells        one row of one gate
transformers' ``Conv1D`` [in, out]    one column
a low-rank factor (LoRA)              that of the Linear it is: a row
a tensor of any other module          one slice along axis 0, unless :meth:`ParameterSpace.divided` says otherwise
bias, gain, any tensor of one axis    the tensor, as one group; zero unless asked for
====================================  =======================================================================

A tensor of another module counts as one axis where its slices along axis 0 have one element each (a gain
[C, 1, 1]), or where it has three axes or more of which at most one is longer than 1 (a class token [1, 1, D]).
What fuses several layers in one tensor (queries, keys and values; the gates of a recurrent cell) counts as those
layers, so that it is drawn as they would be apart. A tied tensor is the first of its owners'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

By = Literal["filter", "layer", "head"]

_ROWS = (
    nn.Linear,
    nn.Bilinear,
    _ConvNd,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
_GATES = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}
_PARAMETRIZED = ".parametrizations."


@dataclass(frozen=True, slots=True)
class Layout:
    """How one tensor divides: seen as ``view``, its ``filter_axes`` number the filters.

    ``vector`` marks what counts as one axis (biases, gains), which directions leave at zero by default. ``parts`` is
    how many layers are fused along axis 0, ``heads`` how many attention heads each of them has (0: not attention).
    ``stated`` is set where a user said so.
    """

    view: tuple[int, ...]
    filter_axes: tuple[int, ...] = (0,)
    vector: bool = False
    parts: int = 1
    heads: int = 0
    stated: bool = False

    def division(self, by: By) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The view and the axes that number its groups: filters, fused layers, or heads where there are any."""
        size = math.prod(self.view)
        count = self.parts * max(self.heads, 1)
        if by == "head" and self.heads:
            return (count, size // count), (0,)
        if by == "layer" or self.vector:
            return (self.parts, size // self.parts), (0,)
        return self.view, self.filter_axes


def layout_of(name: str, shape: tuple[int, ...], owner: nn.Module | None) -> Layout:
    """The layout of the parameter ``name`` of this shape, by the module that owns it."""
    attribute = name.rpartition(".")[2]
    kind = _kind(name, owner)
    parts, heads = _fused(attribute, owner)
    if parts > 1 and shape[0] % parts:
        parts, heads = 1, 0
    if len(shape) <= 1 or (not kind and _one_axis(shape)):
        return Layout((1, math.prod(shape)), vector=True, parts=parts, heads=heads)
    if kind == "transposed":
        assert isinstance(owner, _ConvTransposeNd)  # its kind says so
        groups = owner.groups
        return Layout((groups, shape[0] // groups, *shape[1:]), (0, 2))
    if kind == "columns":
        return Layout(shape, (1,))
    return Layout(shape, (0,), parts=parts, heads=heads)


def owner_of(name: str, modules: Mapping[str, nn.Module]) -> tuple[str, nn.Module | None]:
    """The name of the layer that a parameter belongs to, and the layer; through a parametrisation of torch's."""
    path = f".{name}"  # so that a parametrisation of the model itself looks like that of a layer
    layer = (path.partition(_PARAMETRIZED)[0] if _PARAMETRIZED in path else path.rpartition(".")[0]).removeprefix(".")
    return layer, modules.get(layer)


def _kind(name: str, owner: nn.Module | None) -> Literal["rows", "columns", "transposed", ""]:
    """How the weights of a layer that multiplies are laid out; empty for any other tensor."""
    attribute, below = name.rpartition(".")[2], f".{name}".partition(_PARAMETRIZED)[2]
    if below:
        # weight_norm keeps the gain as original0 and what is to be scaled as original1; others keep one original
        weight = below.startswith("weight.") and attribute in ("original", "original1")
    else:
        weight = "weight" in attribute and attribute != "weight_g"  # the older weight_norm's gain
    if not weight:
        return ""
    if isinstance(owner, _ConvTransposeNd):
        return "transposed"
    if isinstance(owner, _ROWS):
        return "rows"
    # Known by name, so that transformers need not be imported: y = x W + b with W [in, out].
    if type(owner).__name__ == "Conv1D" and type(owner).__module__.startswith("transformers."):
        return "columns"
    return ""


def _fused(attribute: str, owner: nn.Module | None) -> tuple[int, int]:
    """How many layers are fused along axis 0 of a tensor, and how many heads each has."""
    if isinstance(owner, nn.MultiheadAttention):
        if attribute.startswith("in_proj"):
            return 3, owner.num_heads
        return 1, owner.num_heads if attribute in ("q_proj_weight", "k_proj_weight", "v_proj_weight") else 0
    for kind, gates in _GATES.items():
        if isinstance(owner, kind) and ("_ih" in attribute or "_hh" in attribute):
            return gates, 0
    return 1, 0


def _one_axis(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of no layer that multiplies counts as one axis."""
    return math.prod(shape[1:]) == 1 or (len(shape) >= 3 and sum(n > 1 for n in shape) <= 1)
