"""How much of a training run two principal components hold, beside a random walk (§7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from thalweg.core.metered import Meter
from thalweg.core.rng import Stream
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.li_2018_measures import interval
from thalweg.reproductions.li_2018_networks import Member, Recipe
from thalweg.slices import TrajectoryPlane
from thalweg.slices.pca import components
from thalweg.slices.walk_null import simulated_shares, step_squares, walk_null, walk_shares

PICTURES = 20
"""How many points of a run are kept."""

COMPONENTS = 4
"""Shares of this many components are kept."""

WALKS = 8
"""How many random walks are simulated, in as many dimensions as the network has."""

RANGE = (0.4, 0.9)
"""What §7 reports of real runs: 40 % to 90 % of the variation in two components (secondary source)."""


def runs(recipe: Recipe, member: Member, rng: Stream, meter: Meter) -> dict[str, np.ndarray]:
    """Shares of variance [S, k] of a run's first components, of walks, and the first run on its plane.

    ``run`` of the networks; ``null`` [S, k] expected of random walks with each run's own step lengths, with ``spread``
    [S, k], its standard deviation in that many dimensions; ``walks`` [W, k] simulated, ``theory`` [k] of equal steps.
    """
    risk, run = recipe.train(member, rng, meter, every=max(1, recipe.steps // PICTURES))
    thetas = torch.from_numpy(run.data["thetas"].copy()).to(risk.space.device)
    shares, null, spread = [], [], []
    count = min(COMPONENTS, len(thetas) - 1)
    for s in range(recipe.seeds):
        path = thetas[:, s]
        shares.append(components(risk.space, path)[1].cpu().numpy()[:count])
        expected = walk_null([path], rng("null"), k=count)
        null.append(expected["walk_lengths"])
        spread.append(expected["walk_spread"])
    squares = torch.ones_like(step_squares(thetas[:, 0]))
    start = torch.zeros(1, thetas.shape[2])
    surface = TrajectoryPlane(steps=recipe.grid)(risk, thetas[:, 0], rng=rng("plane"))
    return {
        "run": np.stack(shares),
        "null": np.stack(null),
        "spread": np.stack(spread),
        "walks": simulated_shares([squares], start, "mean", rng("walks"), WALKS)[:, :count],
        "theory": walk_shares(len(thetas))[:count],
        "share.x": np.arange(1.0, count + 1),
        "share.run": shares[0],
        "share.null": null[0],
        "loss": surface.loss,
        "x": surface.axes[0],
        "y": surface.axes[1],
        "path": surface.data["path"],
    }


def rows(data: Mapping[str, np.ndarray]) -> list[Finding]:
    """The run's share, a random walk's, and the difference."""
    two, null = data["run"][:, :2].sum(1), data["null"][:, :2].sum(1)
    walks, theory = data["walks"][:, :2].sum(1), float(data["theory"][:2].sum())
    share, walked = float(two.mean()), float(walks.mean())
    return [
        Finding(
            "variance_run",
            "§7: two components hold 40 % to 90 % of a run's variation",
            None,
            share,
            interval(two),
            RANGE[0] <= share <= RANGE[1],
        ),
        Finding(
            "variance_walk",
            "Antognini & Sohl-Dickstein 2018, §3: what they hold of a random walk of as many points",
            theory,
            walked,
            interval(walks),
            abs(walked - theory) <= 0.01,
        ),
        Finding(
            "variance_run_over_walk",
            "no statement of the paper: the run's share less that of walks with its step lengths",
            None,
            float((two - null).mean()),
            interval(two - null),
        ),
    ]


def panels(data: Mapping[str, np.ndarray]) -> tuple[Panel, ...]:
    """The first run on its plane; shares beside the walk's."""
    sheet, first = "A training run on its principal plane", data["run"][0]
    one, other = (", ".join(f"{100 * x:.0f} %" for x in found[:2]) for found in (first, data["null"][0]))
    shares = f"two components: {one}; random walk: {other}"
    return (
        Panel(sheet, 0, 0, ("walk.loss",), x="walk.x", y="walk.y", path="walk.path", title="first run", text=shares),
        Panel(
            sheet,
            0,
            1,
            ("walk.share.run", "walk.share.null"),
            labels=("run", "random walk, same step lengths"),
            x="walk.share.x",
            title="share of variance by component",
        ),
    )
