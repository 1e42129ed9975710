"""Deep linear networks: from conditions at the start to certificates of convergence."""

from thalweg.theory.claim import Claim
from thalweg.theory.deep_linear.full_rank import FullRankCritical

CLAIMS: tuple[type[Claim], ...] = (FullRankCritical,)
"""The statements of this room."""

__all__ = ["CLAIMS", "FullRankCritical"]
