"""How large a batch gradients and Hessian products need: their noise at two places, rows drawn independently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from thalweg.core.metered import Metered
from thalweg.core.rng import Stream
from thalweg.curvature.row_noise import relative_noise, row_gradients, row_products
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.parts import Parts, interval, side_by_side

LEVELS = (0.1, 0.2, 0.5, 1.0)
"""Relative errors whose batch is reported."""

ENOUGH = 1000
"""The batch that products with the Hessian are said to need, at an error that is not stated."""

KINDS = ("gradient", "product_random", "product_gradient")


@dataclass(frozen=True, eq=False)
class ProductNoise:
    """The constant c of each kind for every start, by place: E‖ḡ − g‖²/‖g‖² = c/B for a batch of B."""

    found: Mapping[str, list[dict[str, np.ndarray]]]

    @classmethod
    def at(cls, places: Mapping[str, Tensor], objective: Metered, parts: Parts, source: Stream) -> ProductNoise:
        """At each point of the places [S, P]."""
        return cls({
            place: [
                parts(f"{place} {s}", partial(constants, objective, theta, source("v", s)))
                for s, theta in enumerate(thetas)
            ]
            for place, thetas in places.items()
        })  # fmt: skip

    def rows(self) -> Iterator[Finding]:
        """The batch for each level of error, and what products need beyond gradients; geometric means over starts."""
        for place, found in self.found.items():
            for name in found[0]:
                logs = np.log([float(x[name]) for x in found])
                for level in LEVELS:
                    ours, about = _grown(logs, level)
                    said = f"batch for a relative error of {level:g}, at the {place}"
                    asked = level == 0.2 and name == "product_random"
                    known, agrees = (ENOUGH, about[0] > ENOUGH) if asked else (None, None)
                    yield Finding(f"{name}_{level:g}_{place}", said, known, ours, about, agrees)
            ratio = np.log([float(x["product_random"] / x["gradient"]) for x in found])
            ours, about = _grown(ratio)
            said = f"batch that a product needs over that of the gradient, at the {place}; the essay: above 1"
            yield Finding(f"product_over_gradient_{place}", said, None, ours, about, about[0] > 1)

    def data(self) -> dict[str, np.ndarray]:
        """The constants, and relative errors against log2 of the batch."""
        data = {"noise.x": np.arange(2.0, 14.0)}
        for place, found in self.found.items():
            for name in found[0]:
                c = np.exp(np.mean([np.log(x[name]) for x in found]))
                data |= {f"{name}.{place}": np.array([x[name] for x in found])}
                data |= {f"{name}.{place}.error": np.sqrt(c / 2 ** data["noise.x"])}
        return data

    def panels(self, sheet: str) -> tuple[Panel, ...]:
        """Relative errors at each place, from the second column on."""
        said = ("gradient", "product, random direction", "product, gradient")
        errors = [(f"relative error at the {p}", [f"{n}.{p}.error" for n in KINDS], said) for p in self.found]
        return side_by_side(sheet, "noise.x", *errors, text="log2 of the batch", first=1, linear=False)


def constants(objective: Metered, theta: Tensor, rng: Stream) -> dict[str, np.ndarray]:
    """The constant c of the gradient and of products with a random direction and with the gradient."""
    each = row_gradients(objective, theta)
    drawn = torch.randn(len(theta), generator=rng.torch(), dtype=torch.float64)
    values = (each, row_products(objective, theta, drawn), row_products(objective, theta, each.mean(0)))
    return {name: np.array(relative_noise(x)) for name, x in zip(KINDS, values, strict=True)}


def _grown(logs: np.ndarray, level: float = 1.0) -> tuple[float, tuple[float, float]]:
    """The geometric mean of batches and its interval, over level²."""
    ours, (low, high) = interval(logs)
    return float(np.exp(ours) / level**2), (float(np.exp(low) / level**2), float(np.exp(high) / level**2))
