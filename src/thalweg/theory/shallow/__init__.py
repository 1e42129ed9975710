"""Shallow problems without bad minima, and teachers whose students are judged by population losses in closed form."""

from thalweg.theory.claim import Claim
from thalweg.theory.shallow.balance import NeuronBalance, balances, velocities
from thalweg.theory.shallow.burer_monteiro import Dual, ZeroColumn, dual
from thalweg.theory.shallow.completion import Completion, CompletionClaim
from thalweg.theory.shallow.convex_loss import ConvexLoss, Optimum, optimum
from thalweg.theory.shallow.factored import Factored
from thalweg.theory.shallow.phase import PhaseRetrieval
from thalweg.theory.shallow.problem import Problem
from thalweg.theory.shallow.quadratic import QuadraticNetwork
from thalweg.theory.shallow.sensing import Sensing
from thalweg.theory.shallow.survey import Survey, survey
from thalweg.theory.shallow.tensor import OrthogonalTensor, Tensors

CLAIMS: tuple[type[Claim], ...] = (
    NeuronBalance,
    Sensing,
    CompletionClaim,
    PhaseRetrieval,
    OrthogonalTensor,
    QuadraticNetwork,
    ZeroColumn,
    ConvexLoss,
)
"""The statements of this room."""

__all__ = [
    "CLAIMS",
    "Completion",
    "CompletionClaim",
    "ConvexLoss",
    "Dual",
    "Factored",
    "NeuronBalance",
    "Optimum",
    "OrthogonalTensor",
    "PhaseRetrieval",
    "Problem",
    "QuadraticNetwork",
    "Sensing",
    "Survey",
    "Tensors",
    "ZeroColumn",
    "balances",
    "dual",
    "optimum",
    "survey",
    "velocities",
]
