"""Which backend evaluates a risk: chosen once for every kind of work, remembered, and obeyed on a resume."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from thalweg.core import backends, precision
from thalweg.core.backends import AUTO, Choice, Loop
from thalweg.core.parts import Parts
from thalweg.core.rng import Stream
from thalweg.core.subspace import Located, Subspace
from thalweg.errors import BackendWarning


class Roads:
    """The backends of one risk, by what they evaluate and under which policy.

    Minibatches and other policies of the same risk share what was chosen, see :meth:`beside`.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._choices: dict[str, Choice] = {}
        self._settled: dict[str, Mapping[str, Any]] = {}

    def beside(self, parts: Parts) -> Roads:
        """The same choices, made for other parts of the same risk."""
        made = Roads(parts)
        made._choices, made._settled = self._choices, self._settled
        return made

    def of(self, kind: str, points: int) -> Choice:
        """What evaluates this many unrelated points; one point is the loop's unless a backend was asked for."""
        if points == 1 and self._parts.backend == AUTO:
            return Choice(Loop(), "one point at a time")
        key = self._key(kind)
        if key not in self._choices and key in self._settled:
            self._choices[key] = backends.again(self._settled[key], self._parts.work(metrics=True))
        if key not in self._choices:
            generator = Stream(0, ("backend",)).torch()

            def draw(count: int) -> Tensor:
                noise = torch.randn(count, self._parts.space.size, generator=generator, dtype=torch.float64)
                return self._parts.initial.theta + 0.01 * noise.to(self._parts.initial.theta)

            self._choices[key] = self._chosen(draw, gradients=kind == "gradients")
        return self._choices[key]

    def on(self, subspace: Subspace) -> Choice:
        """What evaluates points of a subspace; another that moves the same tensors is evaluated alike."""
        key = self._key(f"{subspace.k} over {','.join(f'{n}{w}' for n, w in subspace.touched.items())}")
        if "choice" not in subspace.kept and key in self._choices:
            subspace.kept["choice"] = self._choices[key]
        if "choice" not in subspace.kept:
            generator = Stream(0, ("backend",)).torch()

            def draw(count: int) -> Located:
                return Located(
                    subspace, 2 * torch.rand(count, subspace.k, generator=generator, dtype=torch.float64) - 1
                )

            subspace.kept["choice"] = self._choices[key] = self._chosen(draw)
        chosen: Choice = subspace.kept["choice"]
        return chosen

    @property
    def described(self) -> tuple[str, str]:
        """What evaluates many points, and why; the gradients' where both were taken."""
        kinds = [k for k in ("gradients", "values") if self._key(k) in self._choices]
        if not kinds and self._parts.backend == AUTO:
            return Loop.name, "one point at a time"
        chosen = self.of(kinds[0] if kinds else "values", 2)
        return chosen.backend.name, chosen.reason

    @property
    def measured(self) -> dict[str, Any]:
        """The backends chosen so far for unrelated points, as JSON values."""
        return {
            key: chosen.measured for key, chosen in self._choices.items() if key.startswith(("values", "gradients"))
        }

    def obey(self, measured: Mapping[str, Any], subspace: Subspace | None = None) -> None:
        """Use the backends that were measured when a study was begun."""
        if subspace is not None:
            if "choice" not in subspace.kept or subspace.kept["choice"].measured != measured:
                subspace.kept["choice"] = backends.again(measured, self._parts.work(metrics=True))
        else:
            self._settled.update(measured)

    def _key(self, kind: str) -> str:
        return f"{kind} {self._parts.policy_name}"

    def _chosen(self, draw: backends.Draw, *, gradients: bool = False) -> Choice:
        asked = self._parts.backend
        work = self._parts.work(metrics=not gradients)
        found = backends.choose(asked, work, draw, precision.tolerance(self._parts.space.dtype), gradients=gradients)
        if asked not in (AUTO, found.backend.name):
            warnings.warn(f"the loop runs instead of {asked}: {found.reason}", BackendWarning, stacklevel=4)
        return found
