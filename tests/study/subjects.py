"""Factories as a user would write them, and some that are wrong."""

from __future__ import annotations

import os

import torch
from torch import nn

import thalweg as tw


class Net(nn.Module):
    """Convolution, BatchNorm, and a dict input given as keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4 * 4 * 4 + 2, 3)

    def forward(self, image: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.act(self.norm(self.conv(image))))
        return self.head(torch.cat([x.flatten(1), side], dim=1))


def conv():
    model = Net()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(48, 1, 8, 8, generator=generator)
    side = torch.randn(48, 2, generator=generator)
    targets = torch.randint(0, 3, (48,), generator=generator)
    return model, nn.CrossEntropyLoss(), ({"image": image, "side": side}, targets)


def held(rows=30):
    """A factory that returns test rows as well."""
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(rows, 4, generator=generator), torch.randint(0, 3, (rows,), generator=generator)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    return model, nn.CrossEntropyLoss(), (x[:20], y[:20]), (x[20:], y[20:])


def small(rows=12):
    data = torch.arange(rows * 3.0).reshape(rows, 3) / rows
    return nn.Linear(3, 1), nn.MSELoss(), (data, data[:, :1])


def chatty():
    print("hello from python")
    os.write(1, b"hello from below\n")
    return small()


def pole():
    return tw.Function(lambda x: 1 / x[0].square() + x[1] * 0, 2)


def undefined():
    model, loss, data = small()
    nn.init.constant_(model.weight, float("nan"))
    return model, loss, data


def broken():
    return 1 / 0


def wrong():
    return 42


def empty():
    return nn.Linear(3, 1), nn.MSELoss(), (torch.zeros(0, 3), torch.zeros(0, 1))


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        return self.linear(nn.functional.dropout(x, 0.5, training=True))


def random():
    return Noisy(), nn.MSELoss(), (torch.ones(6, 3), torch.ones(6, 1))
