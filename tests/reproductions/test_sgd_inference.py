"""The stationary law of SGD on least squares: a fixed point of the recursion, whose limit is Lyapunov's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.core.metered import Metered
from thalweg.core.rng import Stream
from thalweg.descent import SGLD, GradientDescent
from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.reproductions.least_squares import Laws
from thalweg.reproductions.sgd_inference import SGDInference


def _laws() -> tuple[Laws, torch.Tensor]:
    risk = SGDInference(samples=30).subject(3)
    return Laws.of(risk, 3), risk.table.inputs  # type: ignore[return-value]


def test_the_exact_law_is_a_fixed_point_and_lyapunov_s_is_its_limit() -> None:
    laws, x = _laws()
    eta, generator = 0.3, torch.Generator().manual_seed(0)
    law, after = laws.exact(eta), torch.zeros(2, 2, dtype=torch.float64)
    draws = 40_000
    index = torch.randint(len(x), (draws, 3), generator=generator)
    means = torch.einsum("nsi,nsj->nij", x[index], x[index]) / 3
    step = torch.eye(2, dtype=torch.float64) - eta * means
    after = (step @ law @ step.transpose(1, 2)).mean(0) + eta**2 * laws.noise
    torch.testing.assert_close(after, law, rtol=0.03, atol=0)
    for small in (1e-2, 1e-3):
        error = (laws.exact(small) - laws.lyapunov(small)).norm() / laws.lyapunov(small).norm()
        assert 0.01 * small < error < 10 * small
    h, s = laws.hessian, laws.lyapunov(0.1)
    torch.testing.assert_close(h @ s + s @ h, 0.1 * laws.noise)
    with pytest.raises(InputError, match="second moments grow"):
        laws.exact(3.0)
    grid = [laws.divergence(laws.lyapunov(share * laws.best)) for share in (0.8, 1.0, 1.25)]
    assert grid[1] == min(grid)


def test_sgd_has_the_law_of_the_recursion_and_a_current_that_isotropic_noise_lacks() -> None:
    """600 walkers at three times the best rate. Controls: Lyapunov's first order, and the law of half the batch."""
    method = SGDInference(walkers=600, times=4.0)
    risk = method.subject(0)
    laws = Laws.of(risk, method.batch)
    eta = 3 * laws.best

    def within(values: np.ndarray, wanted: float) -> bool:
        return abs(values.mean() - wanted) <= 3 * values.std(ddof=1) / len(values) ** 0.5

    def ratio(law: torch.Tensor) -> np.ndarray:
        return np.einsum("bij,ji->b", sgd["moments"], np.linalg.inv(law.numpy())) / 2

    sgd = method._run(Metered(risk), laws, GradientDescent(eta), eta, Stream(0))
    assert within(ratio(laws.exact(eta)), 1.0)
    assert not within(ratio(laws.lyapunov(eta)), 1.0) and not within(ratio(Laws.of(risk, 5).exact(eta)), 1.0)
    assert within(sgd["current"], laws.current(eta)) and not within(sgd["current"], 0.0)
    heat = eta * float(laws.noise.trace()) / 4
    isotropic = method._run(Metered(risk), laws, SGLD(temperature=heat, lr=eta), eta, Stream(1))
    assert within(isotropic["current"], 0.0)


def test_settings_are_refused_with_their_values() -> None:
    with pytest.raises(InputError, match="shares"):
        build("sgd_inference", shares=(1.0, 2.0))
