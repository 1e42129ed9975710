"""Where searches for critical points start: points of a run at which its loss is spread evenly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.records import Run


def uniform_in_loss(run: Run, count: int, rng: int | Stream = 0, noise: float = 0.0) -> Tensor:
    """``count`` pictures of a run, each the nearest to a loss drawn uniformly from the range seen: float64 [count, P].

    Pictures evenly spread in steps would lie almost all at low loss (Pascanu et al. 2014; Frye et al. 2021, §3.1).
    Every second start is moved by normal noise of standard deviation ``noise``.

    Raises
    ------
    InputError
        If count is below 1, noise negative, or no picture has a finite loss.
    """
    if count < 1 or not 0 <= noise < float("inf"):
        raise InputError(f"count={count}, noise={noise}: give at least 1 start, and noise that is not negative")
    loss = run.data["loss"].ravel()
    thetas = run.data["thetas"].reshape(len(loss), -1)
    known = np.isfinite(loss) & np.isfinite(thetas).all(1)
    if not known.any():
        raise InputError("the run has no picture at which F is finite: give another")
    loss, thetas, source = loss[known], thetas[known], stream(rng)
    wanted = loss.min() + (loss.max() - loss.min()) * np.random.default_rng(source("levels").seed).random(count)
    nearest = [int(np.abs(loss - level).argmin()) for level in wanted]
    draws = torch.randn(count, thetas.shape[1], generator=source("noise").torch(), dtype=torch.float64)
    draws[::2] = 0
    return torch.from_numpy(thetas[nearest]).double() + noise * draws
