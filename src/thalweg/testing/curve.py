"""The contract of a curve: exact ends, weights that add up, a velocity that is the derivative, lengths, a way back."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.paths.curve import Curve
from thalweg.testing.contract import Contract, close, keeps, refuses, same

KNOTS = ((2, 1), (3, 4), (5, 3), (6, 7))
"""Numbers of knots and of parameters of the curves that are examined."""

FINE = 4001
"""Points of the polyline that lengths are compared with; its error is of order 1/FINE²."""


class CurveContract(Contract):
    """What every curve keeps, at drawn knots; override ``counts`` where a curve takes some numbers of knots only."""

    counts: tuple[tuple[int, int], ...] = KNOTS
    smooth: bool = True
    """Whether the velocity is continuous; False compares it away from where pieces meet."""

    @abstractmethod
    def make(self, knots: Tensor) -> Curve:
        """The curve of these knots [K, P]."""

    def curves(self) -> list[Curve]:
        """The curves that are examined."""
        return [self.make(_knots(count, size)) for count, size in self.counts]

    def test_the_ends_are_the_end_knots_to_the_last_bit(self) -> None:
        """At 0 and 1 a curve is the first and the last knot, exactly: they are the user's networks."""
        for dtype in (torch.float64, torch.float32):
            for count, size in self.counts:
                knots = 1e3 * _knots(count, size).to(dtype)
                same(
                    self.make(knots).theta(torch.tensor([0.0, 1.0])),
                    knots[[0, -1]],
                    f"the ends of a {dtype} curve of {count} knots",
                )

    def test_weights_add_up_to_one_and_slopes_to_zero(self) -> None:
        """So that a curve does not depend on where the origin is."""
        t = torch.linspace(0, 1, 37, dtype=torch.float64)
        for curve in self.curves():
            basis, slope = curve.basis(t), curve.slope(t)
            keeps(basis.dtype == torch.float64, f"basis is {basis.dtype}: weights are float64")
            shape = (len(t), len(curve.knots))
            keeps(basis.shape == slope.shape == shape, f"basis is {list(basis.shape)}, not {list(shape)}: [m, K]")
            close(basis.sum(1), torch.ones(len(t)), 0, 1e-13, "the sum of the weights of a point")
            close(slope.sum(1), torch.zeros(len(t)), 0, 1e-11, "the sum of the slopes of a point")

    def test_velocity_is_the_derivative(self) -> None:
        """``slope`` is the derivative of ``basis``, by differences."""
        h = 1e-6
        t = torch.linspace(0.013, 0.987, 23, dtype=torch.float64)
        for curve in self.curves():
            difference = (curve.theta(t + h) - curve.theta(t - h)) / (2 * h)
            velocity = curve.velocity(t)
            if not self.smooth:
                even = (curve.velocity(t + h) - curve.velocity(t - h)).abs().amax(1) < 1e-3
                difference, velocity = difference[even], velocity[even]
                keeps(len(velocity) > len(t) // 2, "the velocity jumps at more than half of 23 points")
            close(velocity, difference, 1e-6, 1e-6, "velocity against a difference of points")

    def test_the_length_is_that_of_its_points(self) -> None:
        """``length`` is that of a fine polyline, in the Euclidean metric and in a weighted one."""
        t = torch.linspace(0, 1, FINE, dtype=torch.float64)
        for curve in self.curves():
            weights = torch.linspace(0.3, 4.0, curve.knots.shape[1], dtype=torch.float64)
            for metric, scale in ((None, torch.ones_like(weights)), (weights, weights.sqrt())):
                fine = (curve.theta(t) * scale).diff(dim=0).norm(dim=1).sum()
                found = torch.tensor(curve.length(metric), dtype=torch.float64)
                what = "length" if metric is None else "length with weights"
                close(found, fine, 1e-3, 1e-9, f"{what} against a polyline of {FINE} points")
            keeps(curve.length() >= curve.straight * (1 - 1e-9), "the length is less than the distance of the ends")

    def test_distances_end_at_the_length(self) -> None:
        """``distances`` begins at 0, never falls and ends at the length."""
        t = torch.linspace(0, 1, FINE, dtype=torch.float64)
        for curve in self.curves():
            found = curve.distances(t)
            keeps(bool(found[0] == 0) and bool((found.diff() >= 0).all()), "distances fall, or do not begin at 0")
            close(found[-1], torch.tensor(curve.length()), 1e-3, 1e-9, "the last distance against the length")

    def test_resampling_goes_along_the_curve(self) -> None:
        """``resampled`` keeps the ends, and its knots lie on the curve at equal distances along it."""
        t = torch.linspace(0, 1, FINE, dtype=torch.float64)
        for curve in self.curves():
            if curve.knots.shape[1] < 3:
                continue  # in one or two dimensions a curve may meet itself
            found = curve.resampled(9)
            same(found.knots[[0, -1]], curve.knots[[0, -1]], "the ends of a resampled curve")
            keeps(len(found.knots) == 9, f"resampled(9) has {len(found.knots)} knots")
            fine = curve.theta(t)
            distance, at = torch.cdist(found.knots, fine).min(1)
            length = float(curve.length())
            keeps(float(distance.max()) < 0.01 * length, "a knot of the resampled curve is not on the curve")
            along = curve.distances(t)[at]
            close(along, length * torch.linspace(0, 1, 9), 0, 0.02 * length, "distances along the curve, resampled")

    def test_a_curve_is_made_again_from_its_tensors(self) -> None:
        """``tensors`` are the arguments of its class, and ``kind`` names it: so it is written and read."""
        t = torch.linspace(0, 1, 17, dtype=torch.float64)
        for curve in self.curves():
            keeps(isinstance(getattr(curve, "kind", None), str), "the class has no kind: name it by a class variable")
            again = type(curve)(**curve.tensors())
            same(again.theta(t), curve.theta(t), "a curve made again from its tensors")

    def test_what_is_no_curve_is_refused(self) -> None:
        """One knot, and a t beyond the ends, are errors in one line."""
        refuses(lambda: self.make(torch.zeros(1, 3)), InputError, "a curve of one knot")
        refuses(lambda: self.curves()[0].theta(1.5), InputError, "a point at t = 1.5")


def _knots(count: int, size: int) -> Tensor:
    generator = Stream(0)("testing", "knots", count, size).torch()
    return torch.randn(count, size, generator=generator, dtype=torch.float64)
