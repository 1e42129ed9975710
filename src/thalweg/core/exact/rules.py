"""What torch's operations do to the degree of a polynomial; an operation that is not listed has no rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from thalweg.core.tree import leaves

DegreeOf = Callable[[Any], int]
"""The largest degree in a tree of tensors; 0 for anything that is no tensor."""

Rule = Callable[[DegreeOf, Sequence[Any], Mapping[str, Any]], int | None]
"""rule(degree_of, args, kwargs) -> the degree of the result; None where it is no polynomial."""


def _functions(names: str) -> list[Any]:
    """Every torch function, functional, method and property getter of these names."""
    found: list[Any] = []
    for name in names.split():
        for space in (torch, F, Tensor, torch._C.TensorBase):
            item: Any = getattr(space, name, None)
            if callable(item):
                found.append(item)
            elif hasattr(item, "__get__"):
                found.append(item.__get__)
    return found


METADATA = frozenset(
    _functions(
        "shape size dim ndim numel nelement dtype device layout stride is_contiguous is_floating_point is_complex "
        "is_signed is_cuda is_cpu is_meta is_mps is_xpu is_sparse is_quantized is_nested is_leaf requires_grad "
        "grad_fn element_size itemsize __len__ _version __hash__ dim_order get_device is_tensor is_same_size is_conj"
    )
)
"""What may be asked of a tensor without reading its values."""

ALIASES = frozenset(_functions("data set_ resize_ resize_as_"))
"""What shares or replaces memory without a trace in the tensor's version."""

RESHAPES = frozenset(
    _functions(
        "reshape reshape_as view view_as flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ contiguous clone "
        "detach positive requires_grad_"
    )
)
"""Operations that keep every number and their order."""

DROPOUTS = frozenset((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout))

PRODUCTS = frozenset(_functions("matmul mm mv __matmul__"))
"""Products of a matrix with a matrix or vector: candidates for the layer after the kinks."""

SCALINGS = frozenset(_functions("mul multiply __mul__ __rmul__"))
QUOTIENTS = frozenset(_functions("div divide true_divide __truediv__ div_"))


def linear(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """Sums, selections and reorderings; masks and indices are constants, since comparisons have no rule."""
    return max(degree_of(args), degree_of(kwargs))


def product(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """Linear in each of its tensors."""
    return sum(degree_of(x) for _, x in leaves((args, kwargs)))


def affine(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """A linear layer or convolution: input ∘ weight + bias."""
    x, weight, bias = bound(("input", "weight", "bias"), args, kwargs)
    return max(degree_of(x) + degree_of(weight), degree_of(bias))


def _added_product(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """As addmm: input + first ∘ second."""
    if len(args) < 3:
        return None
    return max(degree_of(args[0]), degree_of(args[1]) + degree_of(args[2]))


def _between(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    start, end, weight = bound(("input", "end", "weight"), args, kwargs)
    return max(degree_of(start), degree_of(end)) + degree_of(weight)


def _quotient(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    above, below = bound(("input", "other"), args, kwargs)
    return None if degree_of(below) or kwargs.get("rounding_mode") else degree_of(above)


def _power(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    base, exponent = bound(("input", "exponent"), args, kwargs)
    whole = isinstance(exponent, (int, float)) and float(exponent).is_integer() and exponent >= 0
    return int(exponent) * degree_of(base) if whole else None


def _square(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    return 2 * linear(degree_of, args, kwargs)  # type: ignore[operator]


def _all_factors(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    x, dim = bound(("input", "dim"), args, kwargs)
    return degree_of(x) * (x.numel() if dim is None else x.shape[dim])


def _dropout(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    x, _, training = bound(("input", "p", "training"), args, kwargs)
    return None if training is not False else degree_of(x)


def _batch_norm(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """With fixed statistics an affine map; by the batch at hand only where its input is constant."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    x, mean, var, weight, bias, training = bound(names, args, kwargs)
    if degree_of((mean, var)) or (degree_of(x) and (training or mean is None)):
        return None
    return max(degree_of(x) + degree_of(weight), degree_of(bias))


def _embedding(degree_of: DegreeOf, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    *_, most = bound(("input", "weight", "padding_idx", "max_norm"), args, kwargs)
    return None if most is not None else linear(degree_of, args, kwargs)


def bound(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments of these names, whether given by position or by keyword; None where not given."""
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in enumerate(names)]


def _table() -> dict[Any, Rule]:
    listed: Iterable[tuple[Rule, Iterable[Any]]] = (
        (
            linear,
            _functions(
                "add add_ __add__ __radd__ sub sub_ __sub__ __rsub__ subtract rsub neg neg_ negative __neg__ positive "
                "view view_as reshape reshape_as flatten unflatten ravel squeeze squeeze_ unsqueeze unsqueeze_ "
                "transpose t T mT permute swapaxes swapdims movedim moveaxis contiguous clone detach expand "
                "expand_as broadcast_to repeat tile cat concat concatenate stack hstack vstack dstack column_stack "
                "sum mean cumsum diff trace diag diagonal diag_embed tril triu flip fliplr flipud roll rot90 narrow "
                "select index_select gather take take_along_dim where chunk split tensor_split unbind __getitem__ "
                "__setitem__ copy_ to double type_as requires_grad_ pad avg_pool1d avg_pool2d avg_pool3d "
                "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d pixel_shuffle pixel_unshuffle unfold fold"
            ),
        ),
        (
            product,
            _functions(
                "mul mul_ multiply __mul__ __rmul__ matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer ger kron "
                "einsum tensordot chain_matmul"
            ),
        ),
        (affine, _functions("linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d")),
        (_added_product, _functions("addmm addbmm baddbmm addmv addr addcmul")),
        (_between, _functions("lerp")),
        (_quotient, QUOTIENTS),
        (_power, _functions("pow pow_ __pow__")),
        (_square, [*_functions("square square_"), F.mse_loss]),
        (_all_factors, _functions("prod")),
        (_dropout, DROPOUTS),
        (_batch_norm, [F.batch_norm]),
        (_embedding, [F.embedding]),
    )
    return {function: rule for rule, functions in listed for function in functions}


RULES: Mapping[Any, Rule] = _table()


def slope(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float | None:
    """The slope below zero of a ReLU (0) or a leaky ReLU; None for every other operation."""
    if function in _RELU:
        return 0.0
    if function in _LEAKY:
        _, found = bound(("input", "negative_slope"), args, kwargs)
        found = 0.01 if found is None else found
        return float(found) if isinstance(found, (int, float)) and math.isfinite(found) else None
    return None


_RELU = frozenset(_functions("relu relu_"))
_LEAKY = frozenset(_functions("leaky_relu leaky_relu_"))
