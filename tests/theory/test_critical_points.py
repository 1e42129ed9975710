"""Constructed critical points of deep linear networks against the exact inertia of their Hessians."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.critical import classify
from thalweg.errors import InputError
from thalweg.theory.deep_linear.build import network, point, product
from thalweg.theory.deep_linear.critical_points import Spectrum, build, kind_of

WIDTHS = [
    (2, 2, 2),
    (3, 2, 3),
    (2, 4, 3),
    (4, 3, 2, 3),
    (2, 3, 2, 2),
    (3, 3, 3, 3),
    (3, 1, 2, 3),
    (2, 2, 3, 2, 2),
    (2, 3, 2, 3, 2, 2),
]
"""Depths two to five; wide, square and with a bottleneck."""


def data(widths: tuple[int, ...], seed: int = 0) -> Spectrum:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(9, widths[0], generator=generator, dtype=torch.float64)
    return Spectrum.of(x, torch.randn(9, widths[-1], generator=generator, dtype=torch.float64))


def loss(weights: tuple[Tensor, ...], spectrum: Spectrum) -> Tensor:
    return 0.5 * (spectrum.inputs @ product(weights).T - spectrum.targets).square().sum()


def derivatives(weights: tuple[Tensor, ...], spectrum: Spectrum) -> tuple[float, Tensor]:
    """Gradient norm and eigenvalues of the dense Hessian."""
    shapes = [w.shape for w in weights]
    flat = torch.cat([w.reshape(-1) for w in weights])

    def fn(theta: Tensor) -> Tensor:
        parts = theta.split([s.numel() for s in shapes])
        return loss(tuple(p.reshape(s) for p, s in zip(parts, shapes, strict=True)), spectrum)

    return float(torch.func.grad(fn)(flat).norm()), torch.linalg.eigvalsh(torch.func.hessian(fn)(flat))


def cases() -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
    found = []
    for widths in WIDTHS:
        most = min(widths)
        for r in range(min(most, widths[-1]) + 1):
            for kept in itertools.combinations(range(min(widths[0], widths[-1])), r):
                found += [(widths, kept, seed) for seed in range(7)]
    return found


def test_at_least_290_points_have_the_index_value_and_kind_that_theory_says() -> None:
    tried, kinds = 0, set()
    for widths, kept, seed in cases():
        spectrum = data(widths, seed)
        made = build(spectrum, widths, kept, gauge=Stream(seed, ("gauge",)))
        gradient, eigenvalues = derivatives(made.weights, spectrum)
        zero = 1e-9 * float(spectrum.cross.norm())
        index = int((eigenvalues < -zero).sum())
        place = f"widths {widths}, kept {kept}, seed {seed}"
        assert gradient < 1e-9, place
        assert float(loss(made.weights, spectrum)) == pytest.approx(made.value, rel=1e-12), place
        assert index == made.index, f"{place}: {index} against {made.index}"
        assert (made.kind == "strict saddle") == (index > 0), f"{place}: {made.kind} with index {index}"
        best = 0.5 * float(spectrum.targets.square().sum() - spectrum.values[: min(widths)].sum())
        assert (made.kind == "global minimum") == (made.value <= best * (1 + 1e-12)), place
        tried, kinds = tried + 1, kinds | {made.kind}
    assert tried >= 290 and kinds == {"global minimum", "strict saddle", "degenerate saddle"}


def test_blocks_of_idle_units_change_strictness_as_the_rule_says() -> None:
    """Points that keep the largest eigenvectors, with every pattern of zero and non-zero blocks that is critical."""
    tried, kinds = 0, set()
    for widths, r in itertools.product([(3, 3, 3, 3), (3, 4, 2, 3, 3)], (0, 1)):
        layers = len(widths) - 1
        inner = [n - r for n in widths]
        shapes = [(inner[1], widths[0]), *((inner[j], inner[j - 1]) for j in range(2, layers + 1))]
        for pattern in itertools.product((False, True), repeat=layers):
            if sum(not p for p in pattern) < 2:
                continue
            generator = torch.Generator().manual_seed(7)
            blocks = [
                torch.randn(*s, generator=generator, dtype=torch.float64) if p else None
                for p, s in zip(pattern, shapes, strict=True)
            ]
            spectrum = data(widths, 3)
            made = build(spectrum, widths, tuple(range(r)), blocks, Stream(1, ("gauge",)))
            gradient, eigenvalues = derivatives(made.weights, spectrum)
            assert gradient < 1e-9
            strict = bool((eigenvalues < -1e-9 * float(spectrum.cross.norm())).any())
            assert (made.kind == "strict saddle") == strict, (widths, r, pattern, made.kind)
            tried, kinds = tried + 1, kinds | {made.kind}
    assert tried >= 20 and kinds == {"strict saddle", "degenerate saddle"}


def test_that_one_of_three_blocks_has_full_rank_is_not_the_rule() -> None:
    """Layers 2 and 3 zero, W_1 Σ_XY W_4 = 0 with W_1 and W_4 not zero: degenerate, though no block around them is."""
    widths, spectrum = (3, 2, 2, 2, 3), data((3, 2, 2, 2, 3), 5)
    first = torch.tensor([[1.0, -0.5, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64)
    through = (first @ spectrum.cross)[0]
    column = torch.linalg.svd(through[None]).Vh[1]
    last = torch.stack([column, torch.zeros(3, dtype=torch.float64)], 1)
    for turned, degenerate in ((last, True), (last + 0.1 * through[:, None], False)):
        made = build(spectrum, widths, (), [first, None, None, spectrum.vectors.T @ turned])
        gradient, eigenvalues = derivatives(made.weights, spectrum)
        strict = bool((eigenvalues < -1e-9 * float(spectrum.cross.norm())).any())
        assert gradient < 1e-9 and strict is not degenerate
        assert made.kind == ("degenerate saddle" if degenerate else "strict saddle")
        assert made.weights[0].any() and made.weights[3].any()


def test_the_kind_does_not_depend_on_the_gauge() -> None:
    spectrum = data((3, 3, 3, 3), 2)
    plain = build(spectrum, (3, 3, 3, 3), (0,))
    for seed in range(5):
        turned = build(spectrum, (3, 3, 3, 3), (0,), gauge=Stream(seed, ("gauge",)))
        assert kind_of(turned.weights, spectrum) == plain.kind == "degenerate saddle"


@pytest.mark.parametrize(
    ("kept", "blocks", "said"),
    [
        ((0, 1, 2), None, "do not fit through 2"),
        ((5,), None, "choose among the 3 eigenvalues"),
        ((0,), [None, None], "2 blocks for 3"),
    ],
)
def test_what_is_no_critical_point_is_refused(
    kept: tuple[int, ...], blocks: list[Tensor | None] | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        build(data((3, 2, 4, 3)), (3, 2, 4, 3), kept, blocks)


def test_rounding_of_a_cancelled_hessian_is_no_negative_curvature() -> None:
    """W_1 Σ_XY W_4 = 0 up to rounding: every entry of the Hessian is a difference of terms of the size of F."""
    widths, spectrum = (3, 2, 2, 2, 3), data((3, 2, 2, 2, 3), 5)
    first = torch.tensor([[1.0, -0.5, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64)
    through = (first @ spectrum.cross)[0]
    last = torch.stack([torch.linalg.svd(through[None]).Vh[1], torch.zeros(3, dtype=torch.float64)], 1)
    risk = network(widths, spectrum.inputs, spectrum.targets)
    for turned, kind in ((last, "degenerate saddle"), (last + 0.1 * through[:, None], "strict saddle")):
        made = build(spectrum, widths, (), [first, None, None, spectrum.vectors.T @ turned])
        found = classify(risk, point(risk, made.weights))
        assert (found.kind == "strict saddle") == (kind == "strict saddle") == bool(found.index.lower), found.summary
