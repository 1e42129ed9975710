"""An LSTM that classifies sequences (Hochreiter & Schmidhuber 1997; forget gates of Gers et al. 2000)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from thalweg.zoo.networks.initial import Uniform, initialised
from thalweg.zoo.networks.layers import check_counts
from thalweg.zoo.networks.sequences import entrance


class LSTM(Uniform):
    """One layer, unrolled over a fixed length in plain operations; parameters named and shaped as in nn.LSTM.

    torch's own layer has no batching rule and cannot be mapped over parameters.
    """

    def __init__(self, inside: int, hidden: int, length: int) -> None:
        super().__init__()
        self.length, self.bound = length, 1 / math.sqrt(hidden)
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden, inside))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * hidden))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden))

    def forward(self, x: Tensor) -> Tensor:
        """[n, length, inside] to the hidden states [n, length, hidden]."""
        given = x @ self.weight_ih_l0.t() + self.bias_ih_l0 + self.bias_hh_l0
        steps = given.split([1] * self.length, 1)  # refuses sequences of another length
        states: list[Tensor] = []
        cell: Tensor | None = None
        for t in range(self.length):
            gates = steps[t].squeeze(1)
            if states:
                gates = gates + states[-1] @ self.weight_hh_l0.t()
            four = gates.chunk(4, 1)
            new = four[0].sigmoid() * four[2].tanh()
            cell = new if cell is None else four[1].sigmoid() * cell + new
            states.append(four[3].sigmoid() * cell.tanh())
        return torch.stack(states, 1)


class Last(nn.Module):
    """The last place of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, length, hidden] to [n, hidden]."""
        return x[:, -1]


def lstm(
    classes: int = 10,
    *,
    length: int,
    vocabulary: int | None = None,
    features: int | None = None,
    width: int = 16,
    hidden: int = 32,
    layers: int = 1,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Tokens [n, length] below ``vocabulary``, or vectors [n, length, features], to logits [n, classes].

    An embedding (or a linear map) to ``width``, ``layers`` of LSTM with ``hidden`` units that begin at zero,
    and a linear layer on the last hidden state. Parameters of the LSTM are uniform in ±1/√hidden.

    Raises
    ------
    InputError
        If not exactly one of vocabulary and features is given, or a size is below 1.
    """
    check_counts(classes=classes, length=length, width=width, hidden=hidden, layers=layers)
    enter = entrance(vocabulary, features)

    def build() -> nn.Sequential:
        model = nn.Sequential()
        model.add_module("enter", enter(width))
        for i in range(layers):
            model.add_module(f"lstm{i + 1}", LSTM(width if i == 0 else hidden, hidden, length))
        model.add_module("last", Last())
        model.add_module("head", nn.Linear(hidden, classes))
        return model

    return initialised(build, seed, dtype)
