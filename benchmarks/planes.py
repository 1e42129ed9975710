"""How long a plane takes against a plain loop of load_state_dict and forward, medians of interleaved runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import thalweg as tw


def naive(risk: tw.EmpiricalRisk, thetas: torch.Tensor, net: nn.Module) -> None:
    """What everybody writes first; the whole batch in memory."""
    inputs, targets = risk.table.inputs, risk.table.targets
    for theta in thetas:
        net.load_state_dict(risk.space.unravel(theta))
        with torch.no_grad():
            nn.functional.cross_entropy(net(inputs), targets).item()


def seconds(work: Callable[[], object]) -> float:
    """One run."""
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def main(repeats: int = 5, points: int = 121) -> None:
    """Print milliseconds per point on zoo.digits."""
    risk = tw.zoo.digits()
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    noise = 0.1 * torch.randn(points, risk.space.size, generator=torch.Generator().manual_seed(0))
    thetas = risk.initial.theta + noise
    vmap = risk.with_backend("vmap")
    works = {
        "load_state_dict loop": lambda: naive(risk, thetas, net),
        "thalweg, loop": lambda: risk.losses(thetas),
        "thalweg, vmap": lambda: vmap.losses(thetas),
    }
    for work in works.values():
        work()
    times = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    first = statistics.median(times["load_state_dict loop"])
    print(f"\n{'digits, 1,797 rows':28}  ms/point   speed")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:28}  {1000 * middle / points:8.3f}  {first / middle:5.2f}×")


if __name__ == "__main__":
    main()
