"""Certificates of the user's own network at a point: what its features, Jacobian, units and gradient say there."""

from thalweg.theory.certificates.dead_layer import DeadLayer
from thalweg.theory.certificates.gradient_gap import GradientGap, ResidualGap
from thalweg.theory.certificates.last_layer import ConvexLastLayer, LastLayer
from thalweg.theory.certificates.permutations import Permutations
from thalweg.theory.certificates.random_features import RandomFeatures
from thalweg.theory.certificates.tangent_kernel import TangentKernel
from thalweg.theory.claim import Claim

CLAIMS: tuple[type[Claim], ...] = (
    Permutations,
    ConvexLastLayer,
    LastLayer,
    TangentKernel,
    RandomFeatures,
    GradientGap,
    ResidualGap,
    DeadLayer,
)
"""The statements of this room."""

__all__ = [
    "CLAIMS",
    "ConvexLastLayer",
    "DeadLayer",
    "GradientGap",
    "LastLayer",
    "Permutations",
    "RandomFeatures",
    "ResidualGap",
    "TangentKernel",
]
