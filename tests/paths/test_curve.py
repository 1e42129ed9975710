import torch

from thalweg.paths import Bezier, segment


def test_the_ends_of_a_curve_are_its_end_knots_to_the_last_bit():
    knots = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    for curve in (Bezier(knots), segment(knots[0], knots[-1])):
        assert torch.equal(curve.theta([0.0, 1.0]), knots[[0, -1]])
