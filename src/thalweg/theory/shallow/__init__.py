"""Shallow problems without bad minima, and teachers whose students are judged by population losses in closed form."""

from thalweg.theory.claim import Claim
from thalweg.theory.shallow.balance import NeuronBalance, balances, velocities
from thalweg.theory.shallow.burer_monteiro import Dual, ZeroColumn, dual
from thalweg.theory.shallow.factored import Factored
from thalweg.theory.shallow.problem import Problem
from thalweg.theory.shallow.sensing import Sensing
from thalweg.theory.shallow.survey import Survey, survey

CLAIMS: tuple[type[Claim], ...] = (
    NeuronBalance,
    Sensing,
    ZeroColumn,
)
"""The statements of this room."""

__all__ = [
    "CLAIMS",
    "Dual",
    "Factored",
    "NeuronBalance",
    "Problem",
    "Sensing",
    "Survey",
    "ZeroColumn",
    "balances",
    "dual",
    "survey",
    "velocities",
]
