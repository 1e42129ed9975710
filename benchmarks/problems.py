"""The networks and rows that benchmarks are run on; synthetic, from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.core.rng import Stream
from thalweg.slices.random import RandomDirections
from thalweg.zoo import networks

Problem = tuple[nn.Module, nn.Module, Tensor, Tensor]
"""(network, loss, inputs, targets)."""


def _rows(shape: Sequence[int], classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(*shape, generator=generator)
    if classes == 1:
        return inputs, torch.randn(shape[0], 1, generator=generator)
    return inputs, torch.randint(0, classes, (shape[0],), generator=generator)


def perceptron(*widths: int, rows: int, activation: str = "relu") -> Problem:
    loss = nn.MSELoss() if widths[-1] == 1 else nn.CrossEntropyLoss()
    return networks.mlp(widths, activation=activation), loss, *_rows((rows, widths[0]), widths[-1])


def resnet8(rows: int = 256) -> Problem:
    return networks.resnet(depth=8), nn.CrossEntropyLoss(), *_rows((rows, 3, 32, 32), 10)


def small_conv(rows: int = 512) -> Problem:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 10)),
    )
    return net, nn.CrossEntropyLoss(), *_rows((rows, 1, 28, 28), 10)


class Encoder(nn.Module):
    """Embedding, two transformer layers (attention, LayerNorm), mean over tokens, a linear head."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
        self.embed = nn.Embedding(50, width)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [n, 10] of tokens [n, 16]."""
        return self.head(self.encoder(self.embed(ids)).mean(1))


class Recurrent(nn.Module):
    """An LSTM and a linear head on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 10] of sequences [n, 12, 8]."""
        return self.head(self.lstm(x)[0][:, -1])


def encoder(rows: int = 128) -> Problem:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 50, (rows, 16), generator=generator)
    return Encoder(), nn.CrossEntropyLoss(), ids, torch.randint(0, 10, (rows,), generator=generator)


def recurrent(rows: int = 128) -> Problem:
    torch.manual_seed(0)
    return Recurrent(), nn.CrossEntropyLoss(), *_rows((rows, 12, 8), 10)


NETWORKS: dict[str, Callable[[], Problem]] = {
    "784-64-64-10 ReLU, 2,000 rows": lambda: perceptron(784, 64, 64, 10, rows=2000),
    "784-256-256-10 ReLU, 2,000 rows": lambda: perceptron(784, 256, 256, 10, rows=2000),
    "64-32-32-10 ReLU, 1,797 rows": lambda: perceptron(64, 32, 32, 10, rows=1797),
    "64-128-128-10 tanh, 1,797 rows": lambda: perceptron(64, 128, 128, 10, rows=1797, activation="tanh"),
    "1-4-4-1 tanh, 100 rows": lambda: perceptron(1, 4, 4, 1, rows=100, activation="tanh"),
    "2-16-16-1 GELU, 500 rows": lambda: perceptron(2, 16, 16, 1, rows=500, activation="gelu"),
    "convolutions, 512 rows of 28×28": small_conv,
    "ResNet-8, 256 rows of 32×32": resnet8,
    "transformer encoder, 128 rows": encoder,
    "LSTM, 128 rows": recurrent,
}


def risk(problem: Problem, **options: object) -> tw.EmpiricalRisk:
    net, loss, inputs, targets = problem
    return tw.EmpiricalRisk(net.eval(), loss, (inputs, targets), **options)  # type: ignore[arg-type]


def subspace(objective: tw.EmpiricalRisk, k: int = 2) -> tw.core.subspace.Subspace:
    """Filter-normalised random directions at the initial point."""
    theta = objective.initial.theta
    return objective.restrict(theta, RandomDirections(objective.space, theta, k, Stream(0), "filter", "zero"))


def last_layer(objective: tw.EmpiricalRisk) -> tw.core.subspace.Subspace:
    """Two random directions of the last layer alone."""
    space = objective.space
    directions = torch.zeros(2, space.size)
    for entry in space.entries[-2:]:
        directions[:, entry.span] = 0.1 * torch.randn(2, entry.size, generator=torch.Generator().manual_seed(1))
    return objective.restrict(objective.initial.theta, directions)


def grid(steps: int, k: int = 2) -> Tensor:
    axes = [torch.linspace(-1, 1, steps, dtype=torch.float64)] * k
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, k)
