"""The same plane by other packages, each in an environment of its own that this script makes.

Every peer runs in a subprocess and prints JSON: seconds per point by the median of its repetitions. A peer that cannot
be installed or crashes is a row with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, threads

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".peers"
"""Kept between runs; not part of the project."""

_SHARED = """
import json, statistics, sys, time
import numpy as np, torch
from torch import nn
torch.set_num_threads(2)
file, steps, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
saved = torch.load(file, weights_only=True)
widths, inputs, targets = saved["widths"], saved["inputs"], saved["targets"]
layers = []
for a, b in zip(widths, widths[1:]):
    layers += [nn.Linear(a, b), nn.ReLU()]
net = nn.Sequential(*layers[:-1]).eval()
net.load_state_dict(saved["state"])
loss = nn.CrossEntropyLoss()

def report(plane):
    plane()
    taken = []
    for _ in range(repeats):
        clock = time.perf_counter()
        plane()
        taken.append((time.perf_counter() - clock) / steps**2)
    print("RESULT" + json.dumps({"seconds": statistics.median(taken), "least": min(taken)}))
"""

PEERS = {
    "loss-landscapes": """
import loss_landscapes
from loss_landscapes.metrics import Loss
metric = Loss(loss, inputs, targets)
options = {"distance": 1, "steps": steps, "normalization": "filter", "deepcopy_model": True}
report(lambda: loss_landscapes.random_plane(net, metric, **options))
""",
    "landscaper": """
from landscaper.compute import compute_loss_landscape
directions = [[torch.randn_like(p) for p in net.parameters()] for _ in range(2)]
fn = lambda model, data: loss(model(data[0]), data[1]).item()
options = {"steps": steps, "distance": 1.0, "dim": 2, "device": "cpu"}
report(lambda: compute_loss_landscape(net, (inputs, targets), directions, fn, **options))
""",
    "loss-landscape-3d": """
from torch.utils.data import DataLoader, TensorDataset
from loss_landscape_3d.calculator import LossLandscapeCalculator
from loss_landscape_3d.directions import generate_random_directions
loader = DataLoader(TensorDataset(inputs, targets), batch_size=len(inputs))
calculator = LossLandscapeCalculator(net, loader, loss, device="cpu")
center = {k: v.clone() for k, v in net.state_dict().items()}
x, y = generate_random_directions(net)
axis = np.linspace(-1, 1, steps)
report(lambda: calculator.calculate(axis, axis, x, y, center))
""",
    "nngeom": """
from nngeom.lossland import plane_slice_2d
from nngeom.models import Model
model = Model(net, loss_fn=lambda module, batch: loss(module(batch[0]), batch[1]))
report(lambda: plane_slice_2d(model, (inputs, targets), span=1.0, steps=steps, seed=0))
""",
}


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, made when it is not there.

    Raises
    ------
    RuntimeError
        With the last line of what the installer said.
    """
    folder = FOLDER / peer
    done = folder / "installed"
    python = folder / "bin" / "python"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        torch_pin = next(
            line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")
        )
        found = subprocess.run([*install, torch_pin, "numpy", peer], capture_output=True, text=True)
        if found.returncode:
            raise RuntimeError((found.stderr.strip().splitlines() or ["the installer failed"])[-1])
        done.touch()
    return python


def run(peer: str, file: Path, steps: int, repeats: int) -> tuple[float, float] | str:
    """Median and least seconds per point, or why there are none."""
    try:
        python = python_of(peer)
        command = [str(python), "-c", _SHARED + PEERS[peer], str(file), str(steps), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=file.parent)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return str(error).splitlines()[0]
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if line is None:
        return (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    found = json.loads(line.removeprefix("RESULT"))
    return found["seconds"], found["least"]


def main(quick: bool = False) -> list[Table]:
    """784-64-64-10, 2,000 rows, 21×21."""
    if quick:
        print("peers: left out of a quick run, for they are installed from the package index")
        return []
    widths, steps, repeats = (784, 64, 64, 10), 21, 5
    net, _, inputs, targets = problems.perceptron(*widths, rows=2000)
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / "problem.pt"
    torch.save({"widths": list(widths), "state": net.state_dict(), "inputs": inputs, "targets": targets}, file)
    with threads(2):
        space = problems.subspace(problems.risk(problems.perceptron(*widths, rows=2000)))
        coefficients = problems.grid(steps)
        times = interleaved({"ours": lambda: space.evaluate(coefficients)}, repeats)["ours"]
    ours, least = median(times) / steps**2, min(times) / steps**2
    rows = [["thalweg", f"{1000 * ours:.3f}", "1", space.backend[0]]]
    for peer in PEERS:
        found = run(peer, file, steps, repeats)
        if isinstance(found, str):
            rows.append([peer, "", "", found[:120]])
        else:
            rows.append([peer, f"{1000 * found[0]:.3f}", f"{found[0] / ours:.1f}× [{found[1] / least:.1f}]", ""])
    note = (
        "One random plane around the same network on the same rows, 2 threads, medians of five; what is timed is the "
        "call that a user makes, without drawing. Directions are each package's own; cost does not depend on them."
    )
    return [
        Table(
            "Other packages, 784-64-64-10, 2,000 rows, 21×21",
            ["package", "ms per point", "ours is faster by", ""],
            rows,
            note,
        )
    ]
