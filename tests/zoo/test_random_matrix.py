"""Formulas of random Hessians against their resolvent, their moments and matrices that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.zoo import random_matrix as rm


@pytest.mark.parametrize("kind", ["wigner", "relu"])
@pytest.mark.parametrize("phi", [0.1, 0.25, 0.6])
def test_the_spectrum_touches_zero_at_the_critical_energy(kind: rm.Kind, phi: float) -> None:
    critical = rm.critical_energy(phi, kind)
    assert abs(rm.lowest(critical, phi, kind)) < 1e-9
    assert rm.lowest(0.9 * critical, phi, kind) > 1e-4 > -1e-4 > rm.lowest(1.1 * critical, phi, kind)
    assert rm.negative_share(0.999 * critical, phi, kind) == 0 < rm.negative_share(1.001 * critical, phi, kind)


@pytest.mark.parametrize("kind", ["wigner", "relu"])
def test_the_density_is_one_and_has_the_moments_of_what_it_is_made_of(kind: rm.Kind) -> None:
    """Mean 1; variance φ of JJᵀ/m and 2ε, or εφ/2, of the rest."""
    phi, energy = 0.25, 0.4
    low = rm.lowest(energy, phi, kind)
    z = np.linspace(low - 0.1, 8, 4001)
    rho = rm.density(z, energy, phi, kind)
    assert rho[z < low - 1e-6].max() < 1e-6
    variance = phi + (2 * energy if kind == "wigner" else energy * phi / 2)
    for power, moment in ((0, 1.0), (1, 1.0), (2, 1.0 + variance)):
        assert np.trapezoid(rho * z**power, z) == pytest.approx(moment, rel=2e-3)


@pytest.mark.parametrize("kind", ["wigner", "relu"])
def test_matrices_that_are_drawn_have_that_share_of_negative_eigenvalues(kind: rm.Kind) -> None:
    for times in (2.0, 4.0):
        energy = times * rm.critical_energy(0.25, kind)
        drawn = [float((rm.sample(energy, 0.25, 400, seed, kind) < 0).double().mean()) for seed in range(3)]
        assert abs(np.mean(drawn) - rm.negative_share(energy, 0.25, kind)) < 0.006
    # A control: the other kind's share is another.
    other = "relu" if kind == "wigner" else "wigner"
    assert abs(np.mean(drawn) - rm.negative_share(energy, 0.25, other)) > 0.02


def test_draws_are_repeated_by_their_seed_and_options_are_checked() -> None:
    assert torch.equal(rm.sample(0.1, 0.5, 20, 3), rm.sample(0.1, 0.5, 20, 3))
    assert not torch.equal(rm.sample(0.1, 0.5, 20, 3), rm.sample(0.1, 0.5, 20, 4))
    for bad, words in (((1.5, "wigner"), "phi=1.5"), ((0.5, "goe"), "kind='goe'")):
        with pytest.raises(InputError, match=words):
            rm.critical_energy(*bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="size=21"):
        rm.sample(0.1, 0.5, 21, 0, "relu")
