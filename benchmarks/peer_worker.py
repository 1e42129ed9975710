"""One plane by another package, drawn once more for every line on stdin; run by that package's own interpreter.

``python peer_worker.py PACKAGE FILE STEPS``. FILE holds the network, its rows and two directions. Each plane is
answered by one line that begins with RESULT; what a package prints itself is on other lines. Nothing of this project
is imported here. Every package is given the rows in memory, as one batch, and its quickest documented call.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """The network, its loss and rows, two directions [2, P] and the points of an axis from -1 to 1."""

    net: nn.Module
    loss: nn.Module
    inputs: Tensor
    targets: Tensor
    directions: Tensor
    steps: int

    @property
    def axis(self) -> np.ndarray:
        """Coefficients along either direction."""
        return np.linspace(-1, 1, self.steps)

    def tensors(self, direction: Tensor) -> list[Tensor]:
        """A direction as one tensor per parameter."""
        sizes = [p.numel() for p in self.net.parameters()]
        return [d.reshape(p.shape).clone() for d, p in zip(direction.split(sizes), self.net.parameters(), strict=True)]


Plane = Callable[[], np.ndarray]
"""F [steps, steps], the first direction along the first axis."""


def loss_landscapes(task: Task) -> tuple[Plane, Tensor | None]:
    import loss_landscapes
    from loss_landscapes.metrics import Loss

    metric = Loss(task.loss, task.inputs, task.targets)
    options = {"distance": 1, "steps": task.steps, "normalization": "filter", "deepcopy_model": True}
    return lambda: loss_landscapes.random_plane(task.net, metric, **options), None  # takes no directions


def landscaper(task: Task) -> tuple[Plane, Tensor | None]:
    from landscaper import compute

    given = [task.tensors(d) for d in task.directions]
    options = {"steps": task.steps, "distance": 1.0, "dim": 2, "device": "cpu"}
    # It rescales what it is given, as here, so that the outermost points are theta ± the rescaled direction.
    start = [p.detach() for p in task.net.parameters()]
    scaled = [compute.normalize_direction([d.clone() for d in ds], start) for ds in given]
    reach = [
        compute.get_model_norm(start) * (task.steps // 2) / (task.steps / 2) / compute.get_model_norm(s) for s in scaled
    ]
    used = torch.stack([r * torch.cat([d.flatten() for d in s]) for r, s in zip(reach, scaled, strict=True)])

    def value(net: nn.Module, rows: tuple[Tensor, Tensor]) -> float:
        return task.loss(net(rows[0]), rows[1]).item()

    rows = task.inputs, task.targets
    return lambda: compute.compute_loss_landscape(task.net, rows, given, value, **options)[0], used


def loss_landscape_3d(task: Task) -> tuple[Plane, Tensor | None]:
    from loss_landscape_3d.calculator import LossLandscapeCalculator

    batches = [(task.inputs, task.targets)]  # a DataLoader would collate the rows anew for every point
    calculator = LossLandscapeCalculator(task.net, batches, task.loss, device="cpu")
    center = {name: p.clone() for name, p in task.net.state_dict().items()}
    x, y = (dict(zip(center, task.tensors(d), strict=True)) for d in task.directions)
    return lambda: calculator.calculate(task.axis, task.axis, x, y, center), task.directions


def nngeom(task: Task) -> tuple[Plane, Tensor | None]:
    from nngeom.lossland import plane_slice_2d
    from nngeom.models import Model

    model = Model(task.net, loss_fn=lambda net, rows: task.loss(net(rows[0]), rows[1]))
    rows, given = (task.inputs, task.targets), [d.double().numpy() for d in task.directions]
    return lambda: plane_slice_2d(model, rows, 1.0, task.steps, given).losses.T, task.directions


PACKAGES = {
    "loss-landscapes": loss_landscapes,
    "landscaper": landscaper,
    "loss-landscape-3d": loss_landscape_3d,
    "nngeom": nngeom,
}


def load(file: str, steps: int) -> Task:
    saved = torch.load(file, weights_only=True)
    layers: list[nn.Module] = []
    for a, b in zip(saved["widths"], saved["widths"][1:], strict=False):
        layers += [nn.Linear(a, b), nn.ReLU()]
    net = nn.Sequential(*layers[:-1]).eval()
    net.load_state_dict(saved["state"])
    return Task(net, nn.CrossEntropyLoss(), saved["inputs"], saved["targets"], saved["directions"], steps)


def answer(**found: object) -> None:
    print("\nRESULT " + json.dumps(found), flush=True)


def main(package: str, file: str, steps: int) -> None:
    """A first plane whose values are told, then one for every line."""
    torch.set_num_threads(2)
    plane, directions = PACKAGES[package](load(file, steps))
    values = np.asarray(plane(), dtype=np.float64)
    torch.save({"values": torch.from_numpy(values.copy()), "directions": directions}, f"{file}.{package}")
    answer(version=version(package), torch=torch.__version__)
    for _ in sys.stdin:
        clock = time.perf_counter()
        plane()
        answer(seconds=time.perf_counter() - clock)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
