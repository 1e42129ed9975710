"""What is kept of a network in training: which of its tensors, in which form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.trajectories.recorder_sketch import CountSketch
from thalweg.trajectories.segments_layout import DTYPES, Kept, RowLayout


@dataclass(frozen=True)
class Keep:
    """What is kept of a point, and how.

    ``dtype``: "float64", "float32", "float16" or "bfloat16", by default that of the parameters. ``statistics``: the
    module's persistent buffers too, such as running means and variances. ``sketch``: only so many coordinates of a
    random projection drawn from ``seed`` (see :class:`CountSketch`). ``shards``: one safetensors file per point, which
    any command takes as a checkpoint. ``failing``: what a full disk does to the training, "raise" or "warn" (recording
    then ends and training goes on). ``compact``: at the end, segments of so many bytes in all become one zarr group;
    fewer stay as they are and are read just the same, since a group costs the end of a short training more than all its
    points did (:func:`compact` makes one later, ``compact=0`` always).

    Raises
    ------
    InputError
        If an option is unknown, or ``sketch`` and ``shards`` are both asked for.
    """

    dtype: str | None = None
    statistics: bool = False
    sketch: int | None = None
    seed: int = 0
    shards: bool = False
    failing: Literal["raise", "warn"] = "raise"
    compact: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise InputError(f"dtype={self.dtype!r}: choose {', '.join(DTYPES)}, or None for that of the parameters")
        if self.failing not in ("raise", "warn"):
            raise InputError(f"failing={self.failing!r}: choose 'raise' or 'warn'")
        if self.compact < 0:
            raise InputError(f"compact={self.compact}: a number of bytes, 0 for always")
        if self.sketch is not None:
            CountSketch(self.sketch, self.seed)
            if self.shards:
                raise InputError(f"sketch={self.sketch} and shards=True: a projection is no checkpoint; leave one out")


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside DataParallel, DistributedDataParallel and torch.compile.

    Raises
    ------
    InputError
        If its parameters are sharded over processes.
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        inner = model.module if isinstance(model, wrappers) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            break
        model = inner
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "full_tensor") or "FullySharded" in type(model).__name__:
            raise InputError(f"{name} is sharded over processes: record gathered checkpoints, or train with replicas")
        if parameter.is_meta:
            raise InputError(f"{name} lies on the meta device and has no values: initialise the network first")
    return model


def persistent(module: nn.Module) -> Mapping[str, Tensor]:
    """The buffers that a state_dict would hold."""
    kept = module.state_dict(keep_vars=True)
    return {name: buffer for name, buffer in module.named_buffers() if name in kept}


def layout_of(module: nn.Module, keep: Keep) -> RowLayout:
    """What the rows of a module's trajectory are.

    Raises
    ------
    InputError
        If the parameters have several dtypes or devices, or one that is not kept.
    """
    space = ParameterSpace.of_module(module)
    own = str(space.dtype).removeprefix("torch.")
    if keep.dtype is None and own not in DTYPES:
        raise InputError(f"parameters are {own}: say in which dtype to keep them, {', '.join(DTYPES)}")
    dtype = keep.dtype or own
    buffers = persistent(module).items() if keep.statistics else ()
    return RowLayout(
        tuple(Kept(entry.name, entry.shape, dtype) for entry in space.entries),
        tuple(Kept(name, tuple(x.shape), str(x.dtype).removeprefix("torch.")) for name, x in buffers),
        keep.sketch,
        keep.seed,
        keep.shards,
    )
