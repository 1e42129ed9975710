"""Two ReLU units on two inputs: where det W_1 = 0 both see one projection p·x, and the fit of that is bounded.

With an activation that is positively homogeneous and no bias before it, what the two units can give from s = p·x is
u·max(s, 0) + v·max(−s, 0): one line on either side of the plane p·x = 0. Each side explains at most the largest
squared singular value of the targets' projection onto its inputs. As p turns, sides change at n angles only, so that
the least F over all p is bounded by the best of n splits. Swapping the units changes the sign of det W_1: two
networks that differ by that permutation alone can be separated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.paths.construct.chain import Chain
from thalweg.paths.separators.determinants import EPS, regression, signed_determinant
from thalweg.paths.separators.witness import Separation

MOST = 4096
"""Rows up to which every split is looked at."""


def two_units(risk: EmpiricalRisk, chain: Chain, a: Tensor, b: Tensor) -> list[Separation]:
    """The separation by det W_1, where it changes sign; the loss has to be a squared error."""
    if chain.widths[:2] != (2, 2) or len(chain.layers) != 2 or chain.layers[0].bias is not None:
        return []
    if not isinstance(chain.layers[0].activation, (nn.ReLU, nn.LeakyReLU)) or risk.row_count > MOST:
        return []
    g = tuple(signed_determinant(chain.weights(x)[:1]) for x in (a, b))
    problem = regression(risk._parts, risk.table.inputs, biased=False)
    if problem is None or g[0] * g[1] >= 0:
        return []
    biased = chain.layers[1].bias is not None
    x, y, ones = problem.inputs, problem.targets, problem.ones if biased else torch.zeros_like(problem.ones)
    total = float(y.square().sum())
    kinks = torch.sort(torch.remainder(torch.atan2(x[:, 1], x[:, 0]) + math.pi / 2, math.pi)).values
    middles = torch.cat([(kinks[1:] + kinks[:-1]) / 2, (kinks[-1:] + kinks[:1] + math.pi) / 2])
    best = 0.0
    for angle in torch.unique(middles):
        right = x @ torch.stack([angle.cos(), angle.sin()]) > 0
        best = max(best, sum(_explained(x[side], y[side], ones[side]) for side in (right, ~right)))
    lower = total - best + problem.least
    slack = 256 * len(x) * EPS * (total + abs(problem.least))
    said = "both units see one projection of the inputs, and two lines explain no more of the targets"
    return [Separation("the determinant of layer 1", (g[0], g[1]), lower, slack, said)]


def _explained(x: Tensor, y: Tensor, ones: Tensor) -> float:
    """The most that a map of rank 1 from the inputs of one side, and a constant where there are ones, explains."""
    if not len(x):
        return 0.0
    constant = 0.0
    if bool(ones.any()):
        axis = ones[:, None] / ones.norm()
        constant = float((axis.T @ y).square().sum())
        x, y = x - axis @ (axis.T @ x), y - axis @ (axis.T @ y)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    u = u[:, s > 0]
    return constant + (float(torch.linalg.matrix_norm(u.T @ y, 2)) ** 2 if u.shape[1] else 0.0)
