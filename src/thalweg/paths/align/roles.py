"""Whether a parameter makes a unit or reads it: what a factor on the unit does to it.

A unit whose activation passes through odd functions alone (tanh) may change its sign, one behind positively
homogeneous functions (ReLU) its scale, if what makes it is multiplied by c and what reads it by 1/c. Which functions
those are is not known here: candidates are gathered, and believed when they leave the outputs as they are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from thalweg.paths.align.axes import Expr, Var, leaves
from thalweg.paths.align.call import Call

MAKES, READS, NEITHER = 1, -1, 0

Roles = dict[tuple[str, int, Var], "int | None"]
"""The exponent of a unit's factor by tensor, axis and unknown; None where one parameter has two."""

CONTRACTED = {
    "mm": {"self": -1, "mat2": -2},
    "bmm": {"self": -1, "mat2": -2},
    "addmm": {"mat1": -1, "mat2": -2},
    "_addmm_activation": {"mat1": -1, "mat2": -2},
    "baddbmm": {"batch1": -1, "batch2": -2},
    "mv": {"self": -1},
    "addmv": {"mat": -1},
    "linear": {"input": -1, "weight": 1},
    "convolution": {"weight": 1},
}
"""The axis of each operand that a product adds over."""

NORMS = {"native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "native_group_norm"}
"""What these give out does not depend on the scale of what goes in: only the gain makes the unit."""


class Ledger:
    """Roles gathered operation by operation."""

    def __init__(self) -> None:
        self.roles: Roles = {}
        self._origin: Any = WeakTensorKeyDictionary()

    def begin(self, tensor: Tensor, name: str) -> None:
        """A parameter, each of whose axes is its own."""
        self._origin[tensor] = name, tuple(range(tensor.ndim))

    def follow(self, source: Tensor, view: Tensor) -> None:
        """A view of a parameter: its axes are found by their strides."""
        if source not in self._origin or view is source:
            return
        name, axes = self._origin[source]
        left = [(source.shape[d], source.stride(d), axes[d]) for d in range(source.ndim) if source.shape[d] > 1]
        found: list[int | None] = []
        for size, stride in zip(view.shape, view.stride(), strict=True):
            # a slice has another size, but its stride stays
            at = next((k for k, (n, s, _) in enumerate(left) if s == stride and n >= size > 1), None)
            found.append(None if at is None else left.pop(at)[2])
        self._origin[view] = name, tuple(found)

    def use(self, op: str, call: Call) -> None:
        """Note what the parameters among the operands of an operation do."""
        contracted = dict(CONTRACTED.get(op, {}))
        if op == "convolution" and call["transposed"]:
            contracted["weight"] = 0
        if op in NORMS:
            inside = {v for axis in call.of("input")[0][1:2] for v in leaves(axis)}
            made = [key for key, role in self.roles.items() if role == MAKES and inside & set(leaves(key[2]))]
            self.roles |= dict.fromkeys(made, NEITHER)
        for argument, value in call.args.items():
            if not isinstance(value, Tensor) or value not in self._origin:
                continue
            name, axes = self._origin[value]
            exprs = call.axes(value)
            for d, (axis, expr) in enumerate(zip(axes, exprs, strict=True)):
                role: int | None = READS if argument in contracted and d == contracted[argument] % len(axes) else MAKES
                role = NEITHER if argument.startswith("running_") else role
                self._note(name, axis, expr, role)

    def _note(self, name: str, axis: int | None, expr: Expr, role: int | None) -> None:
        for v in leaves(expr):
            key = name, -1 if axis is None else axis, v
            self.roles[key] = role if self.roles.get(key, role) == role and axis is not None else None

    def settled(self) -> Roles:
        """By what the unknowns were found to be in the end."""
        found: Roles = {}
        for (name, axis, v), role in self.roles.items():
            for leaf in leaves(v):
                key = name, axis, leaf
                found[key] = role if found.get(key, role) == role else None
        return found
