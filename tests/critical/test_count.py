"""Critical points counted by index, where all of them are known."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.critical import Count, EndToEnd, Search, classify, linear_counts, spin_bound, spin_counts, tensor_counts
from thalweg.errors import InputError
from thalweg.plot.interactive import views
from thalweg.plot.static import render
from thalweg.records import CountStatus
from thalweg.theory.deep_linear import critical_points


def tensor(dimension: int) -> tw.Function:
    return tw.Function(lambda x: -(x**4).sum(), dimension, manifold="sphere")


def test_every_sign_vector_of_the_orthogonal_tensor_is_found_with_its_index() -> None:
    assert sum(tensor_counts(3).values()) == 26 and tensor_counts(3) == {0: 6, 1: 12, 2: 8}
    record = Count(starts=150, known=tensor_counts(3))(tensor(3))
    assert record.status is CountStatus.COMPLETE and record.data["count"].tolist() == [6, 12, 8]
    assert record.saddles_per_minimum == pytest.approx(20 / 6) and "26 different" in record.summary
    support = (np.abs(record.data["thetas"]) > 1e-3).sum(1)
    np.testing.assert_array_equal(record.data["index"], support - 1)
    np.testing.assert_allclose(record.data["loss"], -1 / support, atol=1e-9)


def test_saddles_outnumber_minima_the_more_the_higher_the_dimension() -> None:
    ratio = [(sum(tensor_counts(d).values()) - 2 * d) / (2 * d) for d in (2, 4, 8, 16)]
    assert ratio[0] == 1 and all(b > 4 * a for a, b in itertools.pairwise(ratio))


def test_what_was_missed_is_said_and_what_is_not_isolated_refused() -> None:
    few = Count(starts=5, known=tensor_counts(3))(tensor(3))
    assert few.status is CountStatus.SHORT and few.data["count"].sum() <= 5
    alone = Count(starts=5)(tw.Function(lambda x: (x**2 - 1).square().sum(), 2))
    assert alone.status is CountStatus.FOUND and "may be more" in alone.message
    circle = tw.Function(lambda x: (x.square().sum() - 1) ** 2, 2, initial=torch.ones(2))
    with pytest.raises(InputError, match="null directions"):
        Count(Search(steps=30), starts=4)(circle)
    with pytest.raises(InputError, match="starts=0"):
        Count(starts=0)


def test_counts_and_censuses_are_drawn() -> None:
    record = Count(starts=20, known=tensor_counts(2))(tensor(2))
    for held in (record, Search(steps=20)(tensor(2), record.data["thetas"])):
        assert len(render(held, "png")) > 8000
        (view,) = views(held)
        assert view["data"] and view["layout"]["xaxis"]["title"]["text"]


@pytest.mark.parametrize(("size", "hidden"), [(4, 1), (5, 2), (5, 4)])
def test_families_of_an_autoencoder_by_index_are_those_of_its_subsets(size: int, hidden: int) -> None:
    kept = [s for r in range(hidden + 1) for s in itertools.combinations(range(size), r)]
    index = [tw.zoo.autoencoder_point(s, size, hidden).index for s in kept]
    assert linear_counts(size, hidden) == dict(sorted(Counter(index).items()))
    assert sum(linear_counts(16, 4).values()) == 2517  # Frye et al. 2021, §3.1


@pytest.mark.parametrize("widths", [(4, 4), (4, 2, 3), (3, 2, 4, 3), (3, 5, 3)])
def test_families_of_deep_linear_networks_are_those_that_theory_builds(widths: tuple[int, ...]) -> None:
    """One for every subset that the construction takes, of the index that it states."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(20, d, generator=generator, dtype=torch.float64) for d in (widths[0], widths[-1]))
    spectrum = critical_points.Spectrum.of(x, y)
    n, narrow = int((spectrum.values > 1e-9 * spectrum.values[0]).sum()), min(widths)
    least = n if len(widths) == 2 else 0
    built = [
        critical_points.build(spectrum, widths, s)
        for r in range(least, min(n, narrow) + 1)
        for s in itertools.combinations(range(n), r)
    ]
    hidden = min(widths[1:-1], default=n)
    assert linear_counts(n, hidden, len(widths) - 1) == dict(sorted(Counter(p.index for p in built).items()))


def test_families_are_counted_though_their_points_are_not_isolated() -> None:
    objective = tw.zoo.linear_autoencoder(3, 1)
    method = Count(Search(steps=60), starts=60, known=linear_counts(3, 1), same=EndToEnd((3, 1, 3)))
    record = method(objective)
    assert record.families and record.status is CountStatus.COMPLETE and "families" in record.summary
    assert record.data["count"].tolist()[:4] == [1, 1, 1, 1] and record.data["count"].sum() == 4
    theta = torch.arange(6.0, dtype=torch.float64)[None]
    a, b = theta[0, :3].reshape(1, 3), theta[0, 3:].reshape(3, 1)
    assert torch.equal(EndToEnd((3, 1, 3))(theta)[0], (b @ a).flatten())
    with pytest.raises(InputError, match="give same="):
        Count(Search(steps=60), starts=10)(objective)
    with pytest.raises(InputError, match="directions=0"):
        linear_counts(0, 1)


def test_a_2_spin_hamiltonian_has_two_points_of_every_index() -> None:
    objective = tw.zoo.spherical_spin(4, 2, seed=1)
    record = Count(starts=80, known=spin_counts(4))(objective)
    assert record.status is CountStatus.COMPLETE and record.data["count"].tolist() == [2, 2, 2, 2]
    assert objective.facts.count == 8 == spin_bound(4, 2)
    for point in objective.facts.critical_points:
        judged = classify(objective, torch.tensor(point.theta, dtype=torch.float64))
        assert judged.gradient_norm < 1e-12 and judged.index.lower == judged.index.upper == point.index
        np.testing.assert_allclose(judged.eigenvalues, point.spectrum, atol=1e-10)


@pytest.mark.parametrize("order", [3, 4])
def test_spin_counts_on_the_circle_are_those_of_the_roots(order: int) -> None:
    """F(cos t, sin t) is a polynomial of degree p in e^{it}: its stationary angles are roots on the unit circle."""
    for seed in (1, 2):
        objective = tw.zoo.spherical_spin(2, order, seed=seed)
        t = 2 * np.pi * np.arange(64) / 64
        values = objective.losses(torch.from_numpy(np.stack([np.cos(t), np.sin(t)], 1))).numpy()
        harmonics = np.fft.fft(values)[np.arange(-order, order + 1)] * np.arange(-order, order + 1)
        roots = np.roots(harmonics[::-1])
        stationary = int((np.abs(np.abs(roots) - 1) < 1e-8).sum())
        record = Count(starts=40)(objective)
        assert record.data["count"].sum() == stationary <= spin_bound(2, order) == 2 * order
        assert record.data["count"].tolist() == [stationary // 2, stationary // 2]  # maxima and minima alternate


def test_the_euler_characteristic_says_when_points_are_missing() -> None:
    """N = 3, p = 3: at most 14 points, whose alternating sum is 2; one start misses some."""
    objective = tw.zoo.spherical_spin(3, 3, seed=0)
    whole = Count(starts=120)(objective)
    signs = (-1) ** np.arange(whole.data["count"].size)
    assert whole.status is CountStatus.FOUND and int(signs @ whole.data["count"]) == 2
    assert whole.data["count"].sum() <= spin_bound(3, 3) == 14
    np.testing.assert_array_equal(whole.data["count"], whole.data["count"][::-1])  # u and −u
    few = Count(starts=1)(objective)  # one point alone sums to ±1
    assert few.data["count"].sum() == 1 and few.status is CountStatus.SHORT and "Euler" in few.message
    with pytest.raises(InputError, match="order=1"):
        tw.zoo.spherical_spin(3, 1)
    with pytest.raises(InputError, match="more than"):
        tw.zoo.spherical_spin(200, 3)
