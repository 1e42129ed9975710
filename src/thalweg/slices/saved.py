"""Directions kept and found again: by recipe where that is enough, else value by value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg import __version__, limits
from thalweg.core.directions import Dense, Directions
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.errors import CheckpointError, InputError, LimitError
from thalweg.slices.recipes import MAKERS, made, pointed, same_place

FORMAT = "thalweg directions 1"
"""What the files say they are."""


def save_directions(directions: Directions, file: str | Path) -> Path:
    """Write directions: a ``.json`` holds their recipe, a ``.safetensors`` their values [k, *shape] by name.

    Raises
    ------
    InputError
        If the ending is another, or a recipe is not enough to make these directions again.
    """
    path = Path(file)
    facts = {
        "format": FORMAT,
        "k": directions.k,
        "space": directions.space.fingerprint,
        "recipe": directions.recipe,
        "labels": list(directions.labels),
        "explained": directions.explained,
        "notes": list(directions.notes),
        "probe": directions.probe(),
        "versions": {"thalweg": __version__, "torch": torch.__version__},
    }
    if path.suffix == ".json":
        if directions.recipe.get("kind") not in MAKERS:
            kind = directions.recipe.get("kind")
            raise InputError(f"directions of kind {kind!r} are no recipe's: save their values, as .safetensors")
        path.write_text(json.dumps(facts, indent=1) + "\n")
    elif path.suffix == ".safetensors":
        from safetensors.torch import save

        named = {e.name: directions.block(e.name).detach().cpu().clone().contiguous() for e in directions.space.entries}
        path.write_bytes(save(named, metadata={key: json.dumps(value) for key, value in facts.items()}))
    else:
        raise InputError(f"{path}: directions are saved as .json (recipe) or .safetensors (values)")
    return path


def load_directions(file: str | Path, objective: Objective, *points: Point | Tensor | np.ndarray) -> Directions:
    """The directions in a file, at the points they were made at; bit for bit those that were saved.

    Directions that do not depend on a point, such as vectors of the user's own, take any.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    InputError
        If the space or a point is another, or another version of torch draws other numbers from the same seed.
    """
    path = Path(file)
    facts, named = _read(path)
    recipe, space = facts["recipe"], objective.space
    given = pointed(objective, points)
    same_place(str(path), recipe, facts["space"], space, given)
    if named is None:
        return made({**recipe, "probe": facts["probe"]}, facts["k"], objective, given, str(path))
    for entry in space.entries:
        wanted = (facts["k"], *entry.shape)
        if entry.name not in named or tuple(named[entry.name].shape) != wanted:
            raise CheckpointError(f"{path} holds no {entry.name} {list(wanted)}: it is damaged; save it again")
    rows = torch.cat([named[e.name].reshape(facts["k"], -1).to(space.dtype) for e in space.entries], dim=1)
    explained = None if facts["explained"] is None else tuple(facts["explained"])
    return Dense(space, rows, recipe, tuple(facts["labels"]), explained, tuple(facts["notes"]))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
    """What the file says of the directions, and their values by tensor where it holds them."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; directions are kept by save_directions as .json or .safetensors")
    named = None
    try:
        limits.whole(path)
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as held:
                facts = {key: limits.parsed(value) for key, value in (held.metadata() or {}).items()}
                names = list(held.keys())
                named = {name: held.get_tensor(name) for name in names}
        else:
            facts = limits.read_json(path)
        if facts.get("format") != FORMAT:
            raise CheckpointError(f"{path} does not say {FORMAT!r}: it is another kind of file; use save_directions")
        missing = [key for key in ("k", "space", "recipe", "labels", "explained", "notes", "probe") if key not in facts]
        if missing:
            raise CheckpointError(f"{path} misses {missing[0]!r}: it is damaged; save the directions again")
    except (CheckpointError, LimitError):
        raise
    except Exception as error:  # bytes that are no such file fail anywhere inside the readers
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} holds no directions ({line}): save them again") from error
    return facts, named
