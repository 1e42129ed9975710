"""Factories with the mistakes that one makes with a model of one's own; each is refused in one line."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

ROWS = torch.Generator().manual_seed(0)
X, Y = torch.randn(12, 6, generator=ROWS), torch.randint(0, 3, (12,), generator=ROWS)


class Own(nn.Module):
    """One linear layer; what forward does around it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)


class Masked(Own):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return self.layer(x * mask)


class Wrapped(Own):
    def forward(self, x: Tensor) -> Any:
        return {"logits": self.layer(x)}


class Scaling(Own):
    def forward(self, x: Tensor) -> Tensor:
        x *= 0.5
        return self.layer(x)


class Overwriting(Own):
    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.sigmoid(self.layer(x))
        hidden += 1
        return hidden


class Detached(Own):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).detach()


def _classes(model: nn.Module, inputs: Any = X, targets: Any = Y) -> Any:
    return model, nn.CrossEntropyLoss(), (inputs, targets)


def own() -> Any:
    return _classes(Own())


def floats() -> Any:
    return _classes(Own(), targets=Y.float())


def lists() -> Any:
    return _classes(Own(), X.tolist(), Y.tolist())


def uninstantiated() -> Any:
    return Own(), nn.CrossEntropyLoss, (X, Y)


def swapped() -> Any:
    return nn.CrossEntropyLoss(), Own(), (X, Y)


def scaling() -> Any:
    return _classes(Scaling())


def overwriting() -> Any:
    return _classes(Overwriting())


def detached() -> Any:
    return _classes(Detached())


def more_keys() -> Any:
    return _classes(Masked(), {"x": X, "mask": X, "ids": X})


def fewer_keys() -> Any:
    return _classes(Masked(), {"x": X})


def wrapped() -> Any:
    return _classes(Wrapped())


def lazy() -> Any:
    return _classes(nn.Sequential(nn.LazyLinear(3)))


def leaving() -> Any:
    raise SystemExit(3)
