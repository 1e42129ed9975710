"""The plain module inside what distributed training puts around it."""

from __future__ import annotations

import copy
import sys
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from thalweg.errors import SubjectError


def plain(model: nn.Module) -> nn.Module:
    """A copy without DataParallel or DistributedDataParallel around it, DTensor parameters gathered whole.

    Names are those of the module inside. Every process of a mesh must come here, since gathering takes all of them.

    Raises
    ------
    SubjectError
        If FSDP holds the parameters: its hooks have no second derivative, and it cannot be copied.
    """
    while isinstance(model, (DataParallel, DistributedDataParallel)):
        model = model.module
    kind = fsdp(model)
    if kind:
        raise SubjectError(
            f"{type(model).__name__} is under {kind}, whose hooks cannot be differentiated twice: hand over the module "
            "without it, with the state dict that get_model_state_dict gives for full_state_dict=True"
        )
    return _gathered(copy.deepcopy(model))


def fsdp(model: nn.Module) -> str:
    """FSDP's name where it has wrapped the module or a part of it; it is not imported to ask."""
    loaded: Any = sys.modules.get("torch.distributed.fsdp")
    if loaded is None:
        return ""
    for module in model.modules():
        if isinstance(module, loaded.FullyShardedDataParallel):
            return "FullyShardedDataParallel"
        if hasattr(loaded, "FSDPModule") and isinstance(module, loaded.FSDPModule):
            return "fully_shard"
    return ""


def sharded(model: nn.Module) -> bool:
    """Whether a parameter or buffer is a DTensor."""
    loaded: Any = sys.modules.get("torch.distributed.tensor")
    return loaded is not None and any(isinstance(x, loaded.DTensor) for x in (*model.parameters(), *model.buffers()))


def _gathered(module: nn.Module) -> nn.Module:
    """The module with every DTensor replaced by the whole tensor; tied ones by the same."""
    if not sharded(module):
        return module
    whole: dict[int, Any] = {}
    for owner in module.modules():
        for held in (owner._parameters, owner._buffers):
            for name, x in held.items():
                if x is None or not hasattr(x, "full_tensor"):
                    continue
                if id(x) not in whole:
                    full = x.detach().full_tensor()  # type: ignore[attr-defined]
                    whole[id(x)] = nn.Parameter(full, x.requires_grad) if isinstance(x, nn.Parameter) else full
                held[name] = whole[id(x)]
    return module
