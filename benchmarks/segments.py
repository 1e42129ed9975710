"""The maximum of F on a segment by its closed form, against dense points; medians of interleaved runs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import thalweg as tw
from benchmarks.harness import Table, interleaved, median, ratio
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


def compare(title: str, risk: tw.EmpiricalRisk, a: Tensor, b: Tensor, points: int, repeats: int) -> Table:
    """Milliseconds, the ratio, and by how much the largest values differ."""
    loop = risk.with_backend("loop")
    ts = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    works = {
        f"{points:,} points, one by one": lambda: float(loop.losses(a + ts * (b - a)).max()),
        f"{points:,} points as a line": lambda: float(risk.restrict(a, b - a).evaluate(ts)["loss"].max()),
        "adaptive": lambda: Segment(risk, a, b).max(method="adaptive").value,
        "exact": lambda: Segment(risk, a, b).max(method="exact").value,
    }
    values = {name: work() for name, work in works.items()}
    times = interleaved(works, repeats)
    base, exact = next(iter(times.values())), Segment(risk, a, b).max()
    rows = [
        [name, f"{1000 * median(found):.1f}", ratio(base, found), f"{(exact.value - values[name]) / exact.value:.1e}"]
        for name, found in times.items()
    ]
    note = f"{exact.reason}; {exact.evaluations} evaluations."
    return Table(f"Maximum on a segment: {title}", ["by", "ms", "speed", "below the exact maximum"], rows, note)


def main(quick: bool = False) -> list[Table]:
    """A deep linear network, and one hidden ReLU layer."""
    points, repeats, share = (41, 1, 10) if quick else (1001, 5, 1)
    return [
        compare(
            "deep linear, L = 4, d = 50, N = 5,000", *between_twins((50,) * 5, "linear", 5000 // share), points, repeats
        ),
        compare("20-64-1 ReLU, N = 2,000", *between_twins((20, 64, 1), "relu", 2000 // share), points, repeats),
    ]
