"""A thousand descents at once against a Python loop over them: seconds of the processor for a start and a step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import Table, threads
from thalweg import zoo
from thalweg.core.function import Function
from thalweg.core.objective import Objective
from thalweg.descent import Descent, fitted

STARTS = 1000
RULES = ("gradient_descent", "momentum", "adam", "noisy", "sgld", "perturbed", "perturbed_agd", "sam")
"""Rules of gradients; others may be added."""


def saddle(size: int) -> Function:
    """|x|²/2 with one negative direction."""
    return Function(lambda x: x[1:].square().sum() / 2 - 0.05 * x[0].square(), size)


PROBLEMS: dict[str, Callable[[int], Objective]] = {
    "quadratic saddle": saddle,
    "matrix factorisation": lambda size: zoo.matrix_factorisation(dimension=size),
}


def plain(objective: Function, x: Tensor, steps: int, lr: float) -> Tensor:
    """Gradient descent from one start as it is written without any of this."""
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective.fn(x), x)
        x = x - lr * gradient
    return x.detach()


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median of the processor's time."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return statistics.median(found)


def main(quick: bool = False) -> list[Table]:
    """A row for every rule, dimension and problem."""
    starts, steps, alone, repeats = (20, 5, 2, 1) if quick else (STARTS, 25, 4, 3)
    rows = []
    with threads(1):
        for label, make in PROBLEMS.items():
            for size in (10,) if quick else (10, 100):
                objective = make(size)
                noise = torch.randn(starts, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
                thetas = objective.initial.theta + 1e-3 * noise
                rate = fitted("gradient_descent", objective, 3.0).lr  # type: ignore[attr-defined]
                bare = [lambda x=x, o=objective, lr=rate: plain(o, x, steps, lr) for x in thetas[:alone]]  # type: ignore[misc]
                written = statistics.median(seconds(work, repeats) for work in bare) / steps
                for name in RULES[:2] if quick else RULES:
                    descent = Descent(fitted(name, objective, 3.0), steps=steps, every=steps)
                    whole = seconds(lambda d=descent, o=objective, t=thetas: d(o, t), repeats) / steps / starts
                    one = seconds(lambda d=descent, o=objective, t=thetas: [d(o, x) for x in t[:alone]], repeats)
                    one = one / steps / alone
                    ratios = [f"{one / whole:.0f}×", f"{written / whole:.0f}×" if name == RULES[0] else ""]
                    rows.append([label, str(size), name, f"{1e6 * one:.0f}", f"{1e6 * whole:.2f}", *ratios])
    columns = ["problem", "P", "rule", "one by one µs", f"{starts} at once µs", "gain", "against a bare loop"]
    note = (
        "Microseconds of the processor for a start and a step, 1 thread, medians of three. One by one is the same call "
        "for each start; the bare loop is autograd and an update, without records, counts or stops."
    )
    return [Table("Descents from many starts", columns, rows, note)]
