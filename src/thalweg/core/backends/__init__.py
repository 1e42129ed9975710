"""How F is evaluated at many points: the loop, which is the reference, vmap, and the network's own steps stacked.

A backend other than the loop is checked against it at two points before it is used; when it differs or
refuses, another runs instead and the record says why.
"""

from thalweg.core.backends.base import Backend, Buffers, Points, Work, formed
from thalweg.core.backends.choice import AUTO, BACKENDS, Choice, Draw, again, check, choose
from thalweg.core.backends.loop import Loop

__all__ = [
    "AUTO",
    "BACKENDS",
    "Backend",
    "Buffers",
    "Choice",
    "Draw",
    "Loop",
    "Points",
    "Work",
    "again",
    "check",
    "choose",
    "formed",
]
