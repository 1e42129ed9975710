"""What gradient descent does at saddles by itself."""

from thalweg.theory.claim import Claim
from thalweg.theory.escape.strict_saddles import StrictSaddles

CLAIMS: tuple[type[Claim], ...] = (StrictSaddles,)
"""The statements of this room."""

__all__ = ["CLAIMS", "StrictSaddles"]
