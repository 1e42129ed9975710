"""A rank that holds rows for rank 0: it evaluates what rank 0 asks for, and sends its sums."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.core import backends
from thalweg.core.channel import Channel, Message
from thalweg.core.directions import Dense
from thalweg.core.products import Linearization
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.shard import Shard
from thalweg.core.sharing import policy_of
from thalweg.core.subspace import Located, Subspace
from thalweg.errors import StoreError


@dataclass
class _Kept:
    """What a rank remembers between two requests."""

    views: dict[str, EmpiricalRisk]
    backends: dict[str, backends.Choice]
    subspaces: dict[int, Subspace]
    linearized: dict[int, Linearization]


def serve(root: EmpiricalRisk, channel: Channel) -> None:
    """Evaluate what rank 0 asks for until it lets go; what fails here is told to it on one line."""
    kept = _Kept({}, {}, {}, {})
    while True:
        message = channel.hear()
        if message["what"] == "end":
            return
        try:
            _answer(root, kept, message, channel)
        except StoreError:
            raise
        except Exception as error:  # rank 0 raises it, with the rank's number
            lines = str(error).strip().splitlines()
            channel.send({"error": f"{type(error).__name__}: {lines[0] if lines else ''}"})


def _answer(root: EmpiricalRisk, kept: _Kept, message: Message, channel: Channel) -> None:
    for number in message["dropped"]:
        kept.subspaces.pop(number, None)
        kept.linearized.pop(number, None)
    what = message["what"]
    if what == "products":
        linearized = kept.linearized[message["number"]]
        linearized._products(message["vectors"], message["kind"])
        return
    view, key = _view(root, kept, message["view"])
    parts = view._parts
    shard = parts.blocks.here
    assert isinstance(shard, Shard)
    if what == "z":
        parts.constant()
    elif what == "rows":
        positions, rows = shard.picked(message["index"])
        channel.send({"rows": (positions, rows)})
    elif what == "linearized":
        parts.__dict__["z"] = message["z"]
        thetas = view.space.check(message["points"])
        kept.linearized[message["number"]] = Linearization([parts.term(b) for b in shard], thetas, add=shard.add)
    else:
        work = parts.work(message.get("metrics", False))
        points = _points(view, kept, message["points"])
        named = f"{key} {json.dumps(message['choice'], sort_keys=True)}"
        if named not in kept.backends:
            kept.backends[named] = backends.again(message["choice"], work)
        backend = kept.backends[named].backend
        _ = backend.totals(work, points) if what == "totals" else backend.gradients(work, points)  # type: ignore[arg-type]


def _view(root: EmpiricalRisk, kept: _Kept, view: Message) -> tuple[EmpiricalRisk, str]:
    """The objective in the dtype and under the policy that rank 0 evaluates with."""
    policy = policy_of(view["policy"]) if "policy" in view else None
    dtype = getattr(torch, view["dtype"]) if view["dtype"] else None
    key = f"{view['dtype']} {policy} {policy.digest() if policy else ''}"
    if key not in kept.views:
        found = root if dtype in (None, root.space.dtype) else root.to(dtype)
        kept.views[key] = found if policy is None else found.with_statistics(policy)
    return kept.views[key], key


def _points(view: EmpiricalRisk, kept: _Kept, given: Any) -> backends.Points:
    if isinstance(given, Tensor):
        return view.space.check(given)
    number = given["subspace"]
    if given["made"] is not None:
        theta0, rows = given["made"]
        kept.subspaces[number] = Subspace(view, theta0, Dense(view.space, rows))
    subspace = kept.subspaces[number]
    return Located(subspace, given["coefficients"].to(view.space.device))
