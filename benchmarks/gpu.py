"""The plane of planes.py on a GPU, as a share of the matrix product it can do; says so where there is none."""

from __future__ import annotations

import itertools
import time

import torch

from benchmarks import problems
from benchmarks.harness import Table


def _seconds(work: object) -> float:
    work()  # type: ignore[operator]
    torch.cuda.synchronize()
    clock = time.perf_counter()
    work()  # type: ignore[operator]
    torch.cuda.synchronize()
    return time.perf_counter() - clock


def main(quick: bool = False) -> list[Table]:
    """Planes of three networks on cuda."""
    if not torch.cuda.is_available():
        print("gpu: torch sees no CUDA device; nothing was measured")
        return []
    a = torch.randn(8192, 8192, device="cuda")
    peak = 2 * 8192**3 / _seconds(lambda: a @ a) / 1e12
    rows = []
    for widths in ((784, 64, 64, 10), (784, 256, 256, 10), (784, 1024, 1024, 10)):
        n = 2000
        risk = problems.risk(problems.perceptron(*widths, rows=n)).to(device="cuda")
        space, coefficients = problems.subspace(risk), problems.grid(5 if quick else 51)
        seconds = _seconds(lambda s=space, c=coefficients: s.evaluate(c))
        products = [2 * n * x * y for x, y in itertools.pairwise(widths)]
        rate = (len(coefficients) * sum(products[1:]) + 3 * products[0]) / seconds / 1e12
        rows.append(
            [
                "-".join(map(str, widths)),
                f"{1e6 * seconds / len(coefficients):.1f}",
                f"{rate:.2f}",
                f"{100 * rate / peak:.0f} %",
                space.backend[0],
            ]
        )
    name = torch.cuda.get_device_name()
    note = (
        f"{name}; the peak is the measured float32 product of 8192³, {peak:.1f} TFLOP/s, at matmul precision "
        f"{torch.get_float32_matmul_precision()}."
    )
    return [
        Table(
            "Planes on a GPU, 51×51, 2,000 rows",
            ["network", "µs per point", "TFLOP/s", "of peak", "backend"],
            rows,
            note,
        )
    ]
