"""Two examples whose features a penalty couples: z* by descent and by its equation (Pezeshki et al. 2021, §3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from thalweg.core.metered import Meter, Metered
from thalweg.descent import Descent, GradientDescent
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.parts import Parts, close, side_by_side
from thalweg.zoo.starvation import DECAY, ON_OUTPUTS, coupled_pair, coupled_responses

COUPLED = {2.0: 1.640, 3.0: 1.583, 4.0: 1.467, 5.0: 1.329, 6.0: 1.185}
"""z*_2 by s_1, computed from the authors' code for their Figure 6 (s_2 = 2, mixing .5, penalty .01)."""

DECOUPLED = (6.373, 1.708)
"""z* with the penalty on outputs (.001 Σ ŷ²), for every s_1 (same place)."""

WITHIN = 1e-3
"""The last digit of what was published."""


@dataclass(frozen=True, eq=False)
class CoupledFeatures:
    """z* [S, 2] for every s_1 under both penalties: by descent, and as the equation has it."""

    found: dict[str, np.ndarray]
    known: dict[str, np.ndarray]

    @classmethod
    def of(cls, parts: Parts, steps: int, meter: Meter) -> CoupledFeatures:
        """By so many steps of descent on the parameters of all s_1 at once, which do not meet."""
        names = ("decay", "outputs")
        found = {name: parts(name, partial(_descended, name, steps, meter))["z"] for name in names}
        return cls(found, {name: coupled_responses(list(COUPLED), on_outputs=name == "outputs") for name in names})

    def rows(self) -> Iterator[Finding]:
        """Each z* beside the published one, its equation, and whether a stronger feature starves the other."""
        decay, outputs = self.found["decay"], self.found["outputs"]
        for (s, theirs), ours in zip(COUPLED.items(), decay[:, 1], strict=True):
            yield close(f"z2_{s:g}", f"z*_2 at s_1 = {s:g}, authors' code", theirs, float(ours), WITHIN)
        slope, gap = float(np.diff(decay[:, 1]).max()), max(np.abs(z - self.known[n]).max() for n, z in self._both())
        yield Finding(
            "starved", "largest change of z*_2 from one s_1 to the next; below 0", None, slope, None, slope < 0
        )
        yield close("z_equation", "largest difference of z* under descent from its equation", 0.0, float(gap), WITHIN)
        for i, theirs in enumerate(DECOUPLED):
            said = f"z*_{i + 1} with the penalty on outputs"
            yield close(f"decoupled_{i + 1}", said, theirs, float(outputs[0, i]), WITHIN)
        spread = float(np.ptp(outputs, axis=0).max())
        yield close("decoupled", "how far z* depends on s_1 with it", 0.0, spread, WITHIN)

    def data(self) -> dict[str, np.ndarray]:
        """The arrays of the panels."""
        data = {"s1": np.array(list(COUPLED)), "z2.published": np.array(list(COUPLED.values()))}
        for name, z in self._both():
            data |= {f"z2.{name}": z[:, 1], f"z1.{name}": z[:, 0], f"z2.{name}.theory": self.known[name][:, 1]}
        return data

    def panels(self) -> tuple[Panel, ...]:
        """Both features' responses against s_1."""
        labels = ("on weights: authors' code", "on weights: descent", "on weights: equation", "on outputs: descent")
        return side_by_side(
            "Two examples with penalties",
            "s1",
            ("z*_2 by penalty", ("z2.published", "z2.decay", "z2.decay.theory", "z2.outputs"), labels),
            ("z*_1 by penalty", ("z1.decay", "z1.outputs"), labels[1::2]),
            text="s_1",
        )

    def _both(self) -> list[tuple[str, np.ndarray]]:
        return list(self.found.items())


def _descended(name: str, steps: int, meter: Meter) -> dict[str, np.ndarray]:
    sizes = torch.tensor([[s, 2.0] for s in COUPLED], dtype=torch.float64)
    objective = Metered(coupled_pair(list(COUPLED), on_outputs=name == "outputs"), meter=meter)
    # The curvature is at most max(s²)/4 and what the penalty adds.
    rate = 1 / (max(COUPLED) ** 2 * (0.25 + 2 * ON_OUTPUTS) + DECAY)
    run = Descent(GradientDescent(rate), steps=steps, every=steps)(objective, torch.zeros(sizes.numel()))
    return {"z": (sizes * torch.tensor(run.final[0]).view_as(sizes)).numpy()}
