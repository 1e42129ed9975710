"""The image network of Freeman & Bruna: steps by cross-entropy under dropout, judged by wrong test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, final

import torch
from torch import Tensor, nn

from thalweg.core.metrics import accuracy
from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.records import Fingerprint
from thalweg.zoo.datasets import Images

PROBE = 256
"""Rows on which a picture of a descent takes its gradient norm; a step takes its own minibatch."""

KEPT = 0.5
"""Share of the last hidden layer's units that a training step keeps."""


class Convolutional(nn.Module):
    """conv 5×5 – pool – conv 5×5 – pool – full – 10 classes; ``width`` scales its 32, 64 and 1024 units.

    ``keep`` [n, 1 or units] multiplies the last hidden layer: ones to evaluate, a scaled mask to train.
    """

    def __init__(self, shape: tuple[int, int, int], width: float = 1.0, classes: int = 10) -> None:
        super().__init__()
        channels, height, side = shape
        first, second, self.units = (max(1, round(width * n)) for n in (32, 64, 1024))
        self.body = nn.Sequential(
            nn.Conv2d(channels, first, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(second * (height // 4) * (side // 4), self.units), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(self.units, classes)

    def forward(self, image: Tensor, keep: Tensor) -> Tensor:
        """Logits [n, classes]."""
        return self.head(self.body(image) * keep)


@final
class Judged(Objective):
    """F is the share of wrong rows of ``judge``; steps follow the cross-entropy of ``table`` under dropout.

    Masks are drawn from ``rng`` and the rows of the step, so that a run that goes on draws them again. F has no
    derivative; what a step follows is :meth:`training`.
    """

    def __init__(self, train: Images, judge: Images, width: float, rng: Stream) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(rng("module").entropy)
            model = Convolutional(tuple(train.inputs.shape[1:]), width, train.classes)  # type: ignore[arg-type]
        self.judge = EmpiricalRisk(
            model, nn.CrossEntropyLoss(), _rows(judge), metrics={"accuracy": accuracy}, backend="loop"
        )
        self.steps = _Steps(self.judge.with_data(_rows(train)), model.units, rng("dropout"))
        self.model = model
        self.space, self.initial, self.row_count = self.judge.space, self.judge.initial, self.judge.row_count
        self.tolerance = self.judge.tolerance

    def drawn(self, count: int, rng: Stream) -> Tensor:
        """Starting points by torch's own initialisation, [count, P]."""
        found = []
        with torch.random.fork_rng():
            for k in range(count):
                torch.manual_seed(rng("network", k).entropy)
                for layer in self.model.modules():
                    if isinstance(layer, (nn.Conv2d, nn.Linear)):
                        layer.reset_parameters()
                found.append(self.space.ravel({n: p.detach() for n, p in self.model.named_parameters()}))
        return torch.stack(found)

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """The share of wrong rows, float64 [B]; a tie among classes counts in part."""
        return {"loss": 1 - self.judge.evaluate(thetas)["accuracy"]}

    def training(self) -> Objective:
        """Cross-entropy of the training rows."""
        return self.steps

    def value_and_grad(self, thetas: Tensor) -> NoReturn:
        """Refused."""
        raise InputError("a share of wrong rows has no gradient: steps follow training()")

    def linearized(self, thetas: Tensor) -> Linearization:
        """Refused."""
        raise InputError("a share of wrong rows has no Hessian: take that of training()")

    def scalar(self, theta: Tensor) -> Tensor:
        """Refused."""
        raise InputError("a share of wrong rows has no derivative: take those of training()")

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> NoReturn:
        """Refused."""
        raise InputError("the image network stays in float32 where it was made")

    def fingerprint(self) -> Fingerprint:
        """That of the judged rows."""
        return self.judge.fingerprint()


@final
class _Steps(Objective):
    """Cross-entropy over training rows; a minibatch has half of the last hidden units left out of each row."""

    def __init__(self, risk: EmpiricalRisk, units: int, rng: Stream) -> None:
        self.risk, self.units, self.rng = risk, units, rng
        self.space, self.initial, self.row_count = risk.space, risk.initial, risk.row_count
        self.probe = risk.rows(torch.arange(min(PROBE, risk.row_count)))

    def rows(self, index: Tensor) -> Objective:
        """These rows under a mask, [n] for all points or [B, n]."""
        flat = index.flatten()
        masks = [self._mask(rows) for rows in index.reshape(-1, index.shape[-1])]
        part = self.risk.table.at(flat)
        image, _ = part.inputs
        masked = self.risk.with_data(((image, torch.cat(masks)), part.targets))
        return masked if index.ndim == 1 else masked.rows(torch.arange(len(flat)).view_as(index))

    def _mask(self, rows: Tensor) -> Tensor:
        """Of one point's minibatch, [n, units]; the order of rows is drawn anew in each epoch, and with it the mask."""
        generator = self.rng(*rows[:16].tolist()).torch()
        return (torch.rand(len(rows), self.units, generator=generator) < KEPT).float() / KEPT

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """On the first :data:`PROBE` rows without dropout."""
        return self.probe.value_and_grad(thetas)

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """Over all training rows without dropout."""
        return {"loss": self.risk.losses(thetas)}

    def linearized(self, thetas: Tensor) -> Linearization:
        """Over all training rows without dropout."""
        return self.risk.linearized(thetas)

    def scalar(self, theta: Tensor) -> Tensor:
        """Over all training rows without dropout."""
        return self.risk.scalar(theta)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Objective:
        """The steps in another dtype or on another device."""
        return _Steps(self.risk.to(dtype, device), self.units, self.rng)

    def fingerprint(self) -> Fingerprint:
        """That of the training rows."""
        return self.risk.fingerprint()


def _rows(images: Images) -> tuple[tuple[Tensor, Tensor], Tensor]:
    return (images.inputs, torch.ones(len(images.inputs), 1)), images.labels


def split(images: Images, test: int, rng: Stream) -> Mapping[str, Images]:
    """``train`` and ``test`` rows of one set, which are drawn.

    Raises
    ------
    InputError
        If fewer than ten rows are left to train on.
    """
    count = len(images.inputs)
    if count - test < 10:
        raise InputError(f"test={test}: of {count:,} rows at least 10 have to be left; hold out fewer")
    order = torch.randperm(count, generator=rng("split").torch())
    parts = {"train": order[test:], "test": order[:test]}
    return {name: Images(images.inputs[i], images.labels[i], images.classes) for name, i in parts.items()}
