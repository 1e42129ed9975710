"""What a Hessian product costs in gradients, and by other packages; one thread, process time, least of seven."""

from __future__ import annotations

import itertools
import subprocess
import time

import torch
from torch import nn

import thalweg as tw
from benchmarks.harness import Table, threads
from benchmarks.peers import FOLDER, Peer
from benchmarks.product_worker import BURST, PACKAGES, network

WIDTHS = [784, 128, 128, 10]
BOUNDS = {"tanh": 1.35, "relu": 1.35, "gelu": 1.5}
"""Gradients that a product may cost."""


def _clock(work: object, repeats: int) -> float:
    """Least process seconds of one call."""
    best = float("inf")
    for _ in range(repeats):
        clock = time.process_time()
        work()  # type: ignore[operator]
        best = min(best, time.process_time() - clock)
    return best


def _row(activation: str, rows: int, repeats: int, quick: bool) -> list[list[str]]:
    torch.manual_seed(0)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(WIDTHS)]
    state = {f"{2 * i}.{n}": p.detach() for i, layer in enumerate(layers) for n, p in layer.named_parameters()}
    x, y = torch.randn(rows, WIDTHS[0]), torch.randint(0, WIDTHS[-1], (rows,))
    risk = tw.EmpiricalRisk(network(WIDTHS, activation, state), nn.CrossEntropyLoss(), (x, y))
    theta = risk.initial.theta[None]
    vector = torch.randn(theta.shape[1])
    peers, said = {}, {}
    if not quick:
        FOLDER.mkdir(exist_ok=True)
        file = FOLDER / f"product-{activation}.pt"
        held = {"widths": WIDTHS, "activation": activation, "state": state, "inputs": x, "targets": y, "vector": vector}
        torch.save(held, file)
        for package in PACKAGES:
            try:
                peers[package] = Peer(package, file, worker="product_worker.py")
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                said[package] = str(error).splitlines()[0][:100]
    with risk.linearized(theta) as linear:
        exact = linear.hvp(vector[None, None])[0, 0]
        ours, gradient, times = float("inf"), float("inf"), dict.fromkeys(peers, float("inf"))
        for _ in range(repeats):  # in turn, so that a slow moment falls on all
            gradient = min(gradient, _clock(lambda: risk.value_and_grad(theta), BURST))
            ours = min(ours, _clock(lambda: linear.hvp(vector[None, None]), BURST))
            times = {name: min(least, peers[name]()) for name, least in times.items()}
    found = [
        [activation, "thalweg", f"{1000 * ours:.1f}", f"{ours / gradient:.2f}", "", f"at most {BOUNDS[activation]}"]
    ]
    for name, seconds in times.items():
        away = float((peers[name].found - exact).norm() / exact.norm())
        found.append(
            [activation, f"{name} {peers[name].version}", f"{1000 * seconds:.1f}", f"{seconds / gradient:.2f}",
             f"{seconds / ours:.2f}×", f"differs by {away:.0e}"]
        )  # fmt: skip
        peers[name].close()
    found += [[activation, name, "", "", "", text] for name, text in said.items()]
    return found


def main(quick: bool = False) -> list[Table]:
    """784-128-128-10 on 2,048 rows."""
    rows, repeats = (64, 1) if quick else (2048, 7)
    with threads(1):
        table = [row for activation in BOUNDS for row in _row(activation, rows, repeats, quick)]
    note = (
        f"784-128-128-10, {rows:,} rows, float32, one thread, process time, least of {repeats} turns. "
        "In gradients: over one gradient of the same objective. Every package holds the rows as one batch."
    )
    columns = ["activation", "package", "ms per product", "in gradients", "ours is faster by", ""]
    return [Table("Hessian products", columns, table, note)]
