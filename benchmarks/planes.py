"""Planes and lines against the loops everybody writes first."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, ratio, threads


def naive(problem: problems.Problem, thetas: torch.Tensor, space: object) -> None:
    """load_state_dict and forward for every point; the whole batch in memory."""
    net, loss, inputs, targets = problem
    named = dict(net.state_dict())
    for theta in thetas:
        net.load_state_dict({**named, **space.unravel(theta)})  # type: ignore[attr-defined]
        with torch.no_grad():
            loss(net(inputs), targets).item()


def by_loader(problem: problems.Problem, thetas: torch.Tensor, space: object) -> None:
    """The same through a DataLoader with batches of 128 and .item() per batch."""
    net, loss, inputs, targets = problem
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=128)
    for theta in thetas:
        net.load_state_dict({**dict(net.state_dict()), **space.unravel(theta)})  # type: ignore[attr-defined]
        with torch.no_grad():
            sum(loss(net(x), t).item() * len(x) for x, t in loader)


def _against_loops(name: str, problem: problems.Problem, coefficients: torch.Tensor, repeats: int) -> list[str]:
    risk = problems.risk(problem)
    space = problems.subspace(risk, coefficients.shape[1])
    few = min(len(coefficients), 40)
    thetas, loaded = space.points(coefficients[:few]), space.points(coefficients[:2])
    times = interleaved(
        {
            "naive": lambda: naive(problem, thetas, risk.space),
            "loader": lambda: by_loader(problem, loaded, risk.space),
            "ours": lambda: space.evaluate(coefficients),
        },
        repeats,
    )
    per_point = median(times["naive"]) / few
    exact = risk.to(torch.float64).with_backend("loop").losses(space.points(coefficients[:few]).double())
    gap = (space.evaluate(coefficients[:few])["loss"] - exact).abs() / (1e-6 + 1e-5 * exact.abs())
    return [
        name,
        f"{len(coefficients)}",
        f"{1000 * per_point:.3f}",
        f"{1000 * median(times['ours']) / len(coefficients):.4f}",
        ratio(times["naive"], times["ours"], len(coefficients) / few),
        ratio(times["loader"], times["ours"], len(coefficients) / 2),
        space.backend[0],
        f"{float(gap.max()):.1g}",
    ]


def _last_layer(name: str, problem: problems.Problem, steps: int, repeats: int) -> list[str]:
    risk = problems.risk(problem)
    space, coefficients = problems.last_layer(risk), problems.grid(steps)
    thetas = space.points(coefficients[:3])

    def anew() -> None:
        space.kept = {"choice": space.kept["choice"]} if "choice" in space.kept else {}
        space.evaluate(coefficients)

    times = interleaved({"naive": lambda: naive(problem, thetas, risk.space), "ours": anew}, repeats)
    cost = median(times["ours"]) / (median(times["naive"]) / 3)
    return [name, f"{len(coefficients)}", f"{1000 * median(times['naive']) / 3:.2f}", f"{cost:.2f}", space.backend[0]]


def main(quick: bool = False) -> list[Table]:
    """Planes, a line, and planes of the last layer."""
    repeats, steps = (1, 5) if quick else (7, 21)
    with threads(1 if quick else 2):
        rows = [
            _against_loops(name, problems.NETWORKS[name](), problems.grid(steps), repeats)
            for name in list(problems.NETWORKS)[:3]
        ]
        line = torch.linspace(-1, 1, 32 if quick else 512, dtype=torch.float64).unsqueeze(1)
        rows.append(
            _against_loops(
                "line, 1-4-4-1 tanh, 100 rows",
                problems.perceptron(1, 4, 4, 1, rows=100, activation="tanh"),
                line,
                repeats,
            )
        )
        last = [
            _last_layer(
                "784-64-64-10, 2,000 rows", problems.perceptron(784, 64, 64, 10, rows=2000), 5 if quick else 51, repeats
            ),
        ]
        if not quick:
            last.append(_last_layer("ResNet-8, 256 rows", problems.resnet8(), 51, 3))
    return [
        Table(
            "Filter-normalised planes and lines, 2 threads",
            [
                "network",
                "points",
                "naive ms",
                "ours ms",
                "against naive",
                "against DataLoader(128)",
                "backend",
                "error",
            ],
            rows,
            "Milliseconds per point. The naive loop runs 40 points and the DataLoader 2, scaled to the grid. Ratios "
            "are of medians, in brackets of the least times. Error: largest |F − F₆₄| over 10⁻⁶ + 10⁻⁵ F₆₄, where F₆₄ "
            "is the float64 loop; below 1 is within that tolerance.",
        ),
        Table(
            "Planes of the last layer, 51×51",
            ["network", "points", "one naive point, ms", "whole plane, in naive points", "backend"],
            last,
            "The layers before it are run once, within the time that is shown.",
        ),
    ]
