"""The contracts of thalweg.testing, kept by this package."""

import torch
from thalweg_example.claim import Homogeneous
from thalweg_example.curve import Through
from thalweg_example.objective import Ring
from thalweg_example.rule import SignDescent

from thalweg.testing import ClaimContract, CurveContract, ObjectiveContract, RuleContract


class TestRing(ObjectiveContract):
    def make(self) -> Ring:
        return Ring(4)


class TestSignDescent(RuleContract):
    def make(self) -> SignDescent:
        return SignDescent(lr=0.01)


class TestThrough(CurveContract):
    def make(self, knots: torch.Tensor) -> Through:
        return Through(knots)


class TestHomogeneous(ClaimContract):
    claim = Homogeneous()

    def make(self) -> Homogeneous:
        return self.claim
