"""The maximum of F on a segment by its closed form, against dense points; medians of interleaved runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.core.segment import Segment
from thalweg.zoo.networks import mlp


def between_twins(widths: tuple[int, ...], activation: str, rows: int) -> tuple[tw.EmpiricalRisk, Tensor, Tensor]:
    """A risk whose targets a network meets but for noise, that network, and itself with hidden units renumbered."""
    generator = torch.Generator().manual_seed(0)
    net = mlp(widths, activation=activation, biases=activation != "linear", dtype=torch.float64)
    x = torch.randn(rows, widths[0], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = net(x)
    y += 0.1 * y.std() * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (x, y))
    named = {name: p.detach().clone() for name, p in net.named_parameters()}
    order = torch.arange(widths[0])
    for i, layer in enumerate(m for m in net if isinstance(m, nn.Linear)):
        following = torch.randperm(len(layer.weight), generator=generator)
        order, before = (following if i < len(widths) - 2 else torch.arange(len(layer.weight))), order
        layer.weight.data = layer.weight.data[order][:, before]
        if layer.bias is not None:
            layer.bias.data = layer.bias.data[order]
    return risk, risk.space.ravel(named), risk.space.ravel(dict(net.named_parameters()))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one run, and what it gave."""
    clock = time.perf_counter()
    found = work()
    return time.perf_counter() - clock, found


def compare(title: str, risk: tw.EmpiricalRisk, a: Tensor, b: Tensor, points: int, repeats: int) -> None:
    """Print milliseconds, the ratio, and by how much the largest values differ."""
    loop = risk.with_backend("loop")
    ts = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    works = {
        f"{points:,} points, one by one": lambda: float(loop.losses(a + ts * (b - a)).max()),
        f"{points:,} points as a line": lambda: float(risk.restrict(a, b - a).evaluate(ts)["loss"].max()),
        "adaptive": lambda: Segment(risk, a, b).max(method="adaptive").value,
        "exact": lambda: Segment(risk, a, b).max(method="exact").value,
    }
    for name in ("adaptive", "exact"):
        works[name]()  # fills caches; the dense ones warm themselves
    times: dict[str, list[float]] = {name: [] for name in works}
    values = {}
    for _ in range(repeats):
        for name, work in works.items():
            seconds, values[name] = timed(work)
            times[name].append(seconds)
    first, exact = next(iter(times)), Segment(risk, a, b).max()
    base = statistics.median(times[first])
    print(f"\n{title}: {exact.reason}, {exact.evaluations} evaluations")
    print(f"{'':28}        ms     speed   below the exact maximum")
    for name, found in times.items():
        middle = statistics.median(found)
        below = (exact.value - values[name]) / exact.value
        print(f"{name:28}  {1000 * middle:8.1f}  {base / middle:7.1f}×   {below:.1e}")


def main(repeats: int = 5, points: int = 1001) -> None:
    """Print the tables."""
    compare("deep linear, L = 4, d = 50, N = 5,000", *between_twins((50,) * 5, "linear", 5000), points, repeats)
    compare("20-64-1 ReLU, N = 2,000", *between_twins((20, 64, 1), "relu", 2000), points, repeats)


if __name__ == "__main__":
    main()
