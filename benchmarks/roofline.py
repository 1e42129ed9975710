"""The machine's own limits, and what share of them a plane reaches."""

from __future__ import annotations

import itertools
import time

import torch

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, threads


def gemm(n: int, dtype: torch.dtype) -> float:
    """GFLOP/s of an n×n×n matrix product: the best of ten."""
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    best = float("inf")
    for _ in range(10):
        clock = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - clock)
    return 2 * n**3 / best / 1e9


def copy() -> float:
    """GB/s read and written by copying 64 MiB: the best of ten."""
    source = torch.empty(2**24)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(10):
        clock = time.perf_counter()
        target.copy_(source)
        best = min(best, time.perf_counter() - clock)
    return 2 * source.numel() * 4 / best / 1e9


def main(quick: bool = False) -> list[Table]:
    """Peaks, then planes of two networks against them."""
    size = 256 if quick else 2048
    peaks, rows = [], []
    for count in (1,) if quick else (1, 2):
        with threads(count):
            found = [f"{gemm(size, dtype):.0f}" for dtype in (torch.float32, torch.float64, torch.bfloat16)]
            peaks.append([str(count), *found, f"{copy():.0f}"])
    with threads(1 if quick else 2):
        peak = gemm(size, torch.float32)
        for widths in ((784, 64, 64, 10), (784, 256, 256, 10)):
            n = 200 if quick else 2000
            space = problems.subspace(problems.risk(problems.perceptron(*widths, rows=n)))
            coefficients = problems.grid(5 if quick else 21)
            seconds = median(
                interleaved({"ours": lambda s=space, c=coefficients: s.evaluate(c)}, 1 if quick else 7)["ours"]
            )
            products = [2 * n * a * b for a, b in itertools.pairwise(widths)]
            done = len(coefficients) * sum(products[1:]) + 3 * products[0]
            naive = len(coefficients) * sum(products)
            rate = done / seconds / 1e9
            rows.append(
                [
                    "-".join(map(str, widths)),
                    f"{naive / 1e9:.1f}",
                    f"{done / 1e9:.1f}",
                    f"{rate:.0f}",
                    f"{100 * rate / peak:.0f} %",
                    f"{naive / seconds / 1e9:.0f}",
                ]
            )
    return [
        Table(
            "The machine",
            ["threads", "float32 GF/s", "float64 GF/s", "bfloat16 GF/s", "copy GB/s"],
            peaks,
            f"Matrix products of {size}³, best of ten.",
        ),
        Table(
            "A 21×21 plane against the peak, 2 threads",
            ["network", "GFLOP, naive", "GFLOP, ours", "GF/s done", "of peak", "GF/s a naive loop would have to do"],
            rows,
            "Operations count matrix products alone; the affine prefix leaves out the first layer for all but three "
            "points. What is missing goes into activations, biases, cross-entropy and the 10-column product.",
        ),
    ]
