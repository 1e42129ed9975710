"""Many networks trained at once against a Python loop over torch.optim."""

from __future__ import annotations

import torch

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, threads
from thalweg.descent import Adam, Descent, Momentum

CASES = [
    ("1-4-4-1 tanh", (1, 4, 4, 1), "tanh", 100, 256),
    ("1-4-4-1 tanh", (1, 4, 4, 1), "tanh", 300, 256),
    ("1-4-4-1 tanh", (1, 4, 4, 1), "tanh", 1000, 256),
    ("2-16-16-1 ReLU", (2, 16, 16, 1), "relu", 500, 64),
    ("64-32-10 ReLU", (64, 32, 10), "relu", 256, 32),
]


def _loop(problem: problems.Problem, adam: bool, steps: int) -> None:
    net, loss, inputs, targets = problem
    if adam:
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(net(inputs), targets).backward()
        optimizer.step()


def main(quick: bool = False) -> list[Table]:
    """Microseconds per network and step, full batch."""
    rows, steps = [], 20 if quick else 400
    with threads(1 if quick else 2):
        for name, widths, activation, count, networks in CASES[: 1 if quick else None]:
            problem = problems.perceptron(*widths, rows=count, activation=activation)
            risk = problems.risk(problem)
            noise = 0.1 * torch.randn(networks, risk.space.size, generator=torch.Generator().manual_seed(0))
            thetas = risk.initial.theta + noise
            for label, rule in (("SGD with momentum", Momentum(lr=1e-3)), ("Adam", Adam(lr=1e-3))):
                descent = Descent(rule, steps=steps, every=steps)
                times = interleaved(
                    {
                        "torch.optim": lambda p=problem, a=label == "Adam": _loop(p, a, steps),
                        "ours": lambda d=descent, r=risk, t=thetas: d(r, t),
                    },
                    1 if quick else 5,
                )
                one = median(times["torch.optim"]) / steps
                ours = median(times["ours"]) / steps / networks
                least = min(times["torch.optim"]) / (min(times["ours"]) / networks)
                rows.append(
                    [
                        name,
                        str(count),
                        str(networks),
                        label,
                        f"{1e6 * one:.0f}",
                        f"{1e6 * ours:.1f}",
                        f"{one / ours:.1f}× [{least:.1f}]",
                    ]
                )
    return [
        Table(
            "Many networks at once, full batch, 2 threads",
            ["network", "rows", "networks", "rule", "torch.optim µs", "ours µs", "per network-step"],
            rows,
            "Microseconds per network and step. Ours includes the record: the first and the last picture of the run.",
        )
    ]
