"""The parameter space: one flat vector [P] and the named tensors it stands for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.filters import Layout, layout_of, owner_of
from thalweg.errors import InputError

By = Literal["tensor", "layer", "filter"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One named tensor of the space, the layer it belongs to, and its ``layout``: how it divides into filters."""

    name: str
    shape: tuple[int, ...]
    offset: int
    layer: str
    layout: Layout

    @property
    def size(self) -> int:
        """How many parameters the tensor has."""
        return math.prod(self.shape)

    @property
    def span(self) -> slice:
        """Where the tensor lies in the flat vector."""
        return slice(self.offset, self.offset + self.size)

    @property
    def vector(self) -> bool:
        """Whether it counts as one-dimensional: a bias or a gain, zero in directions by default."""
        return self.layout.vector


@dataclass(frozen=True, slots=True)
class Block:
    """A group of parameters: its name and their indices in the flat vector, int64 [size]."""

    name: str
    index: Tensor


@dataclass(frozen=True)
class Point:
    """A place in the space: ``theta`` [P], the normalisation ``statistics`` it was saved with, a name.

    ``statistics`` maps buffer names to tensors and is None for networks without any.
    """

    theta: Tensor
    statistics: Mapping[str, Tensor] | None = None
    name: str = "theta"


@dataclass(frozen=True)
class ParameterSpace:
    """Names and shapes of the parameters that vary; the only place that knows them.

    Parameters are those with ``requires_grad``, in the module's own order, tied tensors once.
    """

    entries: tuple[Entry, ...]
    dtype: torch.dtype
    device: torch.device
    _index: Mapping[str, Entry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.entries:
            raise InputError("no parameter requires a gradient: set requires_grad=True on those to study")
        object.__setattr__(self, "_index", {entry.name: entry for entry in self.entries})

    @classmethod
    def of_module(cls, module: nn.Module) -> ParameterSpace:
        """The space of a module's trainable parameters.

        Raises
        ------
        InputError
            If there are none, or they do not share one floating dtype and one device.
        """
        entries: list[Entry] = []
        owners = dict(module.named_modules())
        found = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        for kind in ("dtype", "device"):
            kinds = sorted({str(getattr(p, kind)) for _, p in found})
            if len(kinds) > 1:
                raise InputError(f"parameters have {kind}s {' and '.join(kinds)}: convert the model to one")
        if lazy := [n for n, p in found if torch.nn.parameter.is_lazy(p)]:
            raise InputError(f"{lazy[0]} has no shape yet: call the model once on a row, before it is handed over")
        if not found:
            raise InputError(
                f"no parameter of {type(module).__name__} requires a gradient: set requires_grad=True on those to study"
            )
        offset = 0
        for name, parameter in found:
            layer, owner = owner_of(name, owners)
            shape = tuple(parameter.shape)
            entry = Entry(name, shape, offset, layer, layout_of(name, shape, owner))
            entries.append(entry)
            offset += entry.size
        if found and not found[0][1].dtype.is_floating_point:
            raise InputError(f"parameters are {found[0][1].dtype}: thalweg studies floating-point models")
        sample = found[0][1] if found else torch.zeros(0)
        return cls(tuple(entries), sample.dtype, sample.device)

    @classmethod
    def of_vector(
        cls, size: int, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu"
    ) -> ParameterSpace:
        """The space of a plain function of ``size`` variables: one tensor ``x``, which is one filter."""
        if size < 1:
            raise InputError(f"a function of {size} variables has no landscape: size must be at least 1")
        entry = Entry("x", (size,), 0, "", Layout((1, size)))
        return cls((entry,), dtype, torch.device(device))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors, in the order of the flat vector."""
        return tuple(self._index)

    @property
    def plain(self) -> bool:
        """Whether this is the space of a plain function: one vector that is no layer's."""
        return (
            len(self.entries) == 1
            and not self.entries[0].layer
            and not self.entries[0].vector
            and (self.entries[0].name == "x")
        )

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        last = self.entries[-1]
        return last.offset + last.size

    def __getitem__(self, name: str) -> Entry:
        if name not in self._index:
            raise InputError(f"no parameter is called {name!r}; there are {_few(self.names)}")
        return self._index[name]

    def ravel(self, named: Mapping[str, Tensor]) -> Tensor:
        """Named tensors as one flat vector [P], in this space's dtype and on its device (a copy).

        Raises
        ------
        InputError
            If a name is missing or a shape differs; both shapes are quoted.
        """
        missing = [name for name in self.names if name not in named]
        if missing:
            raise InputError(f"no tensor for {_few(missing)}: the space has {_few(self.names)}")
        theta = torch.empty(self.size, dtype=self.dtype, device=self.device)
        for entry in self.entries:
            tensor = named[entry.name]
            if tuple(tensor.shape) != entry.shape:
                raise InputError(
                    f"{entry.name} has shape {list(tensor.shape)}, the model wants {list(entry.shape)}: "
                    "these are parameters of another architecture"
                )
            theta[entry.span] = tensor.detach().reshape(-1).to(theta)
        return theta

    def unravel(self, theta: Tensor) -> dict[str, Tensor]:
        """The named tensors of theta [..., P] as views [..., *shape]; differentiable."""
        lead = theta.shape[:-1]
        parts = theta.split([e.size for e in self.entries], -1)  # one node: slices would each add a gradient of size P
        return {e.name: part.reshape((*lead, *e.shape)) for e, part in zip(self.entries, parts, strict=True)}

    def check(self, thetas: Tensor | np.ndarray, what: str = "theta") -> Tensor:
        """``thetas`` in this space's dtype and on its device, once its last axis is P; a record's array will do.

        Raises
        ------
        InputError
            If the last axis has another length, or it is no array of numbers.
        """
        if not isinstance(thetas, Tensor):
            given = np.asarray(thetas)
            if given.dtype.kind not in "fiub":
                raise InputError(
                    f"{what} is a {type(thetas).__name__}: give a vector [P]; "
                    "space.ravel(dict(model.named_parameters())) makes one of a module"
                )
            thetas = torch.tensor(given)  # a copy: a record's arrays are read-only
        if thetas.is_complex():
            raise InputError(f"{what} is {thetas.dtype}: parameters are real numbers; give its real part")
        if tuple(thetas.shape[-1:]) != (self.size,):
            raise InputError(f"{what} has shape {list(thetas.shape)}: its last axis must be P = {self.size}")
        return thetas.to(dtype=self.dtype, device=self.device)

    def blocks(self, by: By = "tensor") -> list[Block]:
        """The parameters in groups: one per tensor, per layer (module), or per filter."""
        if by == "tensor":
            return [Block(e.name, torch.arange(e.offset, e.offset + e.size)) for e in self.entries]
        if by == "layer":
            layers: dict[str, list[Tensor]] = {}
            for e in self.entries:
                layers.setdefault(e.layer, []).append(torch.arange(e.offset, e.offset + e.size))
            return [Block(name, torch.cat(parts)) for name, parts in layers.items()]
        if by != "filter":
            raise InputError(f"by={by!r}: choose 'tensor', 'layer' or 'filter'")
        found = []
        for e in self.entries:
            view, axes = e.layout.division("filter")
            inner = [i for i in range(len(view)) if i not in axes]
            index = torch.arange(e.offset, e.offset + e.size).reshape(view)
            rows = index.permute(*axes, *inner).reshape(-1, math.prod(view[i] for i in inner))
            found += [Block(f"{e.name}[{i}]", row) for i, row in enumerate(rows)]
        return found

    def divided(self, filters: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> ParameterSpace:
        """The same space with other filters: ``{name: (view, axes)}``, a tensor's view and the axes that number them.

        ``{"qkv.weight": ((3, 4, 16, 64), (0, 1))}`` makes one filter of each of four heads' query, key and value
        matrix; ``{"w": ((in, out), (1,))}`` makes one of each column.

        Raises
        ------
        InputError
            If a name is unknown, the view has another number of entries, or an axis is not the view's.
        """
        made = dict(self._index)
        for name, (view, axes) in filters.items():
            entry, shown, numbering = self[name], tuple(view), tuple(axes)
            if math.prod(shown) != entry.size:
                raise InputError(f"{name} {list(entry.shape)} cannot be seen as {list(shown)}: the sizes differ")
            if len(set(numbering)) < len(numbering) or not set(numbering) <= set(range(len(shown))):
                raise InputError(f"axes {list(numbering)} of {name} seen as {list(shown)}: name some of its axes once")
            inside = () if len(numbering) < len(shown) else (1,)  # every entry a filter: each has one element
            made[name] = replace(entry, layout=Layout((*shown, *inside), numbering, stated=True))
        return ParameterSpace(tuple(made.values()), self.dtype, self.device)

    @property
    def fingerprint(self) -> str:
        """A digest of names and shapes; 16 hexadecimal digits."""
        text = ";".join(f"{e.name}:{e.shape}" for e in self.entries)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def digest(self, theta: Tensor) -> str:
        """A digest of a point's values, the same in float32 and float64; 16 hexadecimal digits."""
        found = hashlib.blake2b(digest_size=8)
        for entry in self.entries:
            found.update(theta[entry.span].detach().double().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> ParameterSpace:
        """The same names and shapes in another dtype or on another device."""
        return ParameterSpace(
            self.entries, dtype or self.dtype, self.device if device is None else torch.device(device)
        )


def _few(names: object, most: int = 4) -> str:
    listed = list(names)  # type: ignore[call-overload]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(repr(n) for n in listed[:most]) + more
