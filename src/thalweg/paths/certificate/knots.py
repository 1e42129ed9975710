"""Segments along which F is convex, so that its largest value is at an end (Kuditipudi et al. 2019, Theorem 1).

Two kinds of move make the outputs affine in t: the last layer alone moves, or units move that nothing reads. With a
loss that is convex in the outputs, F is convex.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thalweg.core.exact import structure
from thalweg.core.exact.form import NotExactError
from thalweg.core.parts import Parts
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.paths.certificate.heads import convex
from thalweg.paths.certificate.model import Uncertified, gamma
from thalweg.paths.construct.chain import Chain, chain_of


def endpoints(risk: EmpiricalRisk, a: Tensor, b: Tensor) -> str:
    """Why F is convex from a to b, both [P] float64, in words that follow "because".

    Raises
    ------
    Uncertified
        If that is not known.
    """
    parts = risk._parts
    if parts.per_point:
        raise Uncertified(f"under the policy {parts.policy} statistics depend on t")
    for block in parts.blocks:
        like = parts.template
        if not isinstance(like, Tensor) or not convex(parts, block, like.new_zeros(block.count, *like.shape[1:])):
            raise Uncertified("the loss is not known to be convex in the outputs")
        break
    _convex_regulariser(parts, a, b)
    try:
        chain = chain_of(risk)
    except InputError:
        return _affine(parts, a, b)
    moved = _live_moves(chain, a, b)
    last = len(chain.layers) - 1
    if not moved:
        return "only units move that nothing reads"
    if moved == {last}:
        return "only the last layer moves, and units that nothing reads"
    return _affine(parts, a, b)


def _live_moves(chain: Chain, a: Tensor, b: Tensor) -> set[int]:
    """The layers in which something moves that the outputs depend on.

    A unit is read by nobody if, at both ends, its outgoing weights to the units that are read are zero.
    """
    ends = chain.affine(a), chain.affine(b)
    read = torch.ones(chain.widths[-1], dtype=torch.bool, device=a.device)
    found = set()
    for k in reversed(range(len(chain.layers))):
        one, other = ends[0][k], ends[1][k]
        if bool((one != other)[read].any()):
            found.add(k)
        inner = chain.widths[k]
        read = ((one != 0) | (other != 0))[read][:, :inner].any(0)
    return found


def _affine(parts: Parts, a: Tensor, b: Tensor) -> str:
    """By watching the forward pass, whatever the network."""
    moving = structure.moved(parts, a, b)
    try:
        for block in parts.blocks:
            outputs, watch = structure.forward(parts, b, moving, block)
            if watch.kinks(outputs) is not None or watch.degree(outputs) > 1:
                raise Uncertified("the outputs are not affine in t")
    except NotExactError as error:
        raise Uncertified(f"of {error}") from error
    return f"the outputs are affine in t where {', '.join(sorted(moving)) or 'nothing'} moves"


def _convex_regulariser(parts: Parts, a: Tensor, b: Tensor) -> None:
    if parts.regulariser is None:
        return
    try:
        degree = structure._of_regulariser(parts, b, structure.moved(parts, a, b))
    except NotExactError as error:
        raise Uncertified(f"of the regulariser: {error}") from error
    if degree > 2:
        raise Uncertified(f"the regulariser has degree {degree} in t")
    with torch.no_grad():
        first, middle, last = (float(parts.regularised(torch.lerp(a, b, s))) for s in (0.0, 0.5, 1.0))
    size = float(np.abs([first, middle, last]).max())
    if first - 2 * middle + last < -8 * gamma(parts.space.size) * size:
        raise Uncertified("the regulariser is not convex along the segment")
