"""The copies of a point that the symmetries of its network make: listed where they are few, counted where not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.paths.align.symmetries import Symmetries

MOST = 50_000
"""Copies that are listed."""


def copies_log10(found: Symmetries) -> float:
    """log10 of the number of orders and signs of the units, ∏ d!·2^d for layers of d units that may change sign.

    That is how many copies a point has whose units all differ. A unit that is alone in its layer is no group, so that
    its sign is not counted.
    """
    orders = sum(math.prod(found.shape(g)[:-1]) * math.lgamma(g.size + 1) for g in found.groups) / math.log(10)
    return orders + sum(math.prod(found.shape(found[name])) for name in found.signed) * math.log10(2)


def orbit(found: Symmetries, space: ParameterSpace, theta: Tensor) -> Tensor:
    """Theta [P] with the units of every group in every order and, where they may change it, every sign, [copies, P].

    Units within heads are brought into every order of every head by itself.

    Raises
    ------
    InputError
        If there are more copies than :data:`MOST`.
    """
    if (many := copies_log10(found)) > math.log10(MOST) + 1e-9:
        raise InputError(f"1e{many:.3g} copies are too many to list, above {MOST:,}: take smaller layers")
    choices = []
    for group in found.groups:
        orders = [np.array(p) for p in itertools.permutations(range(group.size))]
        if group.within is not None:  # one for every member of the other group
            orders = [np.stack(p) for p in itertools.product(orders, repeat=found[group.within].size)]
        signs = [np.array(s) for s in itertools.product((1.0, -1.0), repeat=group.size)]
        choices.append([(group.name, p, s) for p in orders for s in (signs if group.name in found.signed else [None])])
    named, copies = space.unravel(theta), []
    for chosen in itertools.product(*choices):
        factors = {name: s for name, _, s in chosen if s is not None}
        copies.append(space.ravel(found.apply(named, {name: p for name, p, _ in chosen}, factors)))
    return torch.stack(copies)
