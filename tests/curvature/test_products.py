"""Products against dense float64 matrices of plainly written losses: every kind of matrix, every kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw
from tests.conftest import TinyAttention
from tests.core.test_objectives import Custom, Recurrent
from thalweg.curvature import Operator
from thalweg.errors import SubjectError


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder's transpose, and two names for one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer, self.bias = nn.Linear(5, 5), nn.Linear(5, 5), nn.Parameter(torch.zeros(5))
        self.outer.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(x))) @ self.inner.weight + self.bias


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.avg_pool2d(F.gelu(self.norm(self.conv(x))), 2).flatten(1))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(6, 4, padding_idx=0), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embed(ids).mean(1)))


@dataclass(frozen=True)
class Case:
    """F = Σ rows(outputs, targets) / z, and the loss that is given to the library."""

    model: nn.Module
    loss: Any
    data: tuple[Tensor, Tensor]
    rows: Callable[[Tensor, Tensor], Tensor]
    z: float
    block_rows: int = 4

    @cached_property
    def risk(self) -> tw.EmpiricalRisk:
        return tw.EmpiricalRisk(self.model, self.loss, self.data, block_rows=self.block_rows)

    def outputs(self, theta: Tensor) -> Tensor:
        return functional_call(self.model, self.risk.space.unravel(theta), (self.data[0],))

    def value(self, theta: Tensor) -> Tensor:
        return self.rows(self.outputs(theta), self.data[1]).sum() / self.z

    @cached_property
    def dense(self) -> dict[str, Tensor]:
        """Every matrix by its definition, over all rows at once."""
        theta = self.risk.initial.theta
        with sdpa_kernel(SDPBackend.MATH):
            h, out = hessian(self.value, theta), self.outputs(theta).detach()
            j = jacobian(self.outputs, theta)
            slopes = jacobian(lambda t: self.rows(self.outputs(t), self.data[1]), theta)
        flat = j.reshape(-1, len(theta))
        bend = hessian(lambda z: self.rows(z.reshape(out.shape), self.data[1]).sum() / self.z, out.flatten())
        g = flat.T @ bend @ flat
        return {"hessian": h, "ggn": g, "residual": h - g, "fisher": slopes.T @ slopes / self.z, "jacobian": j}


def nll(z: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """−w_y log softmax(z)_y of every row, 0 where y is −100."""
    seen = (y != -100).to(z)
    safe = y.clamp(min=0)
    picked = z.logsumexp(-1) - z.gather(-1, safe[..., None])[..., 0]
    found = seen * picked * (1.0 if weight is None else weight[safe])
    return found.reshape(len(z), -1).sum(1)


def squared(z: Tensor, y: Tensor) -> Tensor:
    return (z - y).square().reshape(len(z), -1).sum(1)


def perceptron(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs)).double()


WEIGHT = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64)


def classes(n: int = 11) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 4).double(), torch.arange(n) % 3


def uneven() -> Case:
    return Case(perceptron(), F.cross_entropy, classes(), nll, 11)


def weighted() -> Case:
    x, y = classes()
    loss = nn.CrossEntropyLoss(weight=WEIGHT)
    return Case(perceptron(), loss, (x, y), partial(nll, weight=WEIGHT), float(WEIGHT[y].sum()))


def ignored() -> Case:
    x, y = classes()
    y[[0, 1, 2, 3, 9]] = -100  # a whole block among them
    loss = partial(F.cross_entropy, weight=WEIGHT)
    return Case(perceptron(), loss, (x, y), partial(nll, weight=WEIGHT), float(WEIGHT[y[y >= 0]].sum()))


def summed() -> Case:
    return Case(perceptron(), nn.CrossEntropyLoss(reduction="sum"), classes(), nll, 1)


def functional() -> Case:
    x, _ = classes()
    return Case(perceptron(2), F.mse_loss, (x, torch.randn(11, 2).double()), squared, 22)


def binary() -> Case:
    x, _ = classes()
    y, up = (torch.rand(11, 2) > 0.5).double(), torch.tensor([3.0, 0.5]).double()

    def rows(z: Tensor, y: Tensor) -> Tensor:
        return (up * y * F.softplus(-z) + (1 - y) * F.softplus(z)).sum(1)

    return Case(perceptron(2), nn.BCEWithLogitsLoss(pos_weight=up), (x, y), rows, 22)


def per_row() -> Case:
    x, _ = classes()
    y = torch.randn(11, 2).double()
    return Case(
        perceptron(2), lambda z, t: (z - t).abs().pow(3).sum(1), (x, y), lambda z, t: (z - t).abs().pow(3).sum(1), 11
    )


def convolution() -> Case:
    model = Normalised().double()
    with torch.no_grad():
        model.train()(2 * torch.randn(20, 1, 6, 6).double() + 1)  # statistics that are not 0 and 1
    return Case(model.eval(), nn.CrossEntropyLoss(), (torch.randn(9, 1, 6, 6).double(), torch.arange(9) % 3), nll, 9)


def tied() -> Case:
    x = torch.randn(9, 5).double()
    return Case(Tied().double(), nn.MSELoss(), (x, x), squared, 45)


def embedding() -> Case:
    ids = torch.randint(0, 6, (9, 4))
    return Case(Tokens().double(), nn.CrossEntropyLoss(), (ids, torch.arange(9) % 3), nll, 9)


def attention() -> Case:
    ids, y = torch.randint(0, 5, (5, 4)), torch.randint(0, 5, (5, 4))
    y[0, :3] = -100
    return Case(
        TinyAttention(5, 4).double().eval(), nn.CrossEntropyLoss(), (ids, y), lambda z, t: nll(z.transpose(1, 2), t), 17
    )


def lstm() -> Case:
    return Case(
        Recurrent().double(), nn.MSELoss(), (torch.randn(7, 4, 3).double(), torch.randn(7, 2).double()), squared, 14
    )


def custom() -> Case:
    return Case(Custom().double(), nn.MSELoss(), (torch.randn(7, 3).double(), torch.randn(7, 2).double()), squared, 14)


CASES = {
    f.__name__: f
    for f in (
        *(uneven, weighted, ignored, summed, functional, binary, per_row),
        *(convolution, tied, embedding, attention, lstm, custom),
    )
}


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    torch.manual_seed(7)
    return CASES[request.param]()


def away(found: Tensor, true: Tensor) -> float:
    return float((found - true).abs().max() / true.abs().max())


each = pytest.mark.parametrize("case", CASES, indirect=True)


@each
@pytest.mark.parametrize("kind", ["hessian", "ggn", "residual", "fisher"])
def test_products_are_those_of_the_dense_matrix_to_1e_12(case: Case, kind: Any) -> None:
    with Operator(case.risk, case.risk.initial, kind) as matrix:
        vectors = torch.randn(5, matrix.size, generator=torch.Generator().manual_seed(1)).double()
        found = torch.stack([matrix(v[None])[0] for v in vectors])  # one vector at a time
        assert away(found, vectors @ case.dense[kind]) <= 1e-12
        eye = torch.eye(matrix.size, dtype=torch.float64)
        whole = torch.cat([matrix(part) for part in eye.split(64)])  # in blocks of vectors, every column
        assert away(whole, case.dense[kind]) <= 1e-12


@each
def test_blocks_and_the_jacobian_are_those_of_the_dense_matrix_to_1e_12(case: Case) -> None:
    layers = case.risk.space.blocks("layer")
    first, second = layers[0], layers[-1]
    with Operator(case.risk, case.risk.initial) as matrix:
        for rows, columns in ((first, first), (first, second), (second, first)):
            true = case.dense["hessian"][rows.index][:, columns.index]
            found = matrix.block(rows.name, columns.name)
            assert float((found - true).abs().max()) <= 1e-12 * float(case.dense["hessian"].abs().max())
    assert away(case.risk.jacobian(case.risk.initial), case.dense["jacobian"]) <= 1e-12


@each
@pytest.mark.parametrize("kind", ["hessian", "ggn", "fisher"])
def test_products_in_single_precision_to_1e_5(case: Case, kind: Any) -> None:
    single = case.risk.to(torch.float32)
    vectors = torch.randn(3, single.space.size, generator=torch.Generator().manual_seed(0)).double()
    with Operator(single, single.initial, kind) as matrix:
        found, true = matrix(vectors), vectors @ case.dense[kind]
    assert float((found - true).norm() / true.norm()) <= 1e-5


def test_a_mean_of_block_means_is_another_matrix() -> None:
    """The control: where blocks are uneven in rows or weights, averaging them misses by far more than rounding."""
    torch.manual_seed(7)
    for made in (uneven(), weighted(), ignored()):
        theta, parts = made.risk.initial.theta, []
        for rows in torch.arange(11).split(4):
            if (made.data[1][rows] == -100).all():
                continue
            few = tw.EmpiricalRisk(made.model, made.loss, (made.data[0][rows], made.data[1][rows]))
            with Operator(few, theta) as matrix:
                parts.append(matrix.dense())
        assert away(torch.stack(parts).mean(0), made.dense["hessian"]) > 1e-3


def test_many_rows_in_one_block_give_what_small_blocks_give() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2500, 4, generator=generator).double(), torch.randint(0, 3, (2500,), generator=generator)
    risk = tw.EmpiricalRisk(perceptron(), nn.CrossEntropyLoss(), (x, y))
    small = tw.EmpiricalRisk(perceptron(), nn.CrossEntropyLoss(), (x, y), block_rows=300)
    theta = risk.initial.theta
    assert len(risk._parts.blocks) == 3
    with risk.linearized(theta[None]) as one, small.linearized(theta[None]) as many:
        assert (len(one._terms), len(many._terms)) == (1, 9)
        v = torch.randn(1, 2, len(theta), generator=generator).double()
        for take in ("hvp", "ggn", "fisher"):
            torch.testing.assert_close(getattr(one, take)(v), getattr(many, take)(v), rtol=1e-11, atol=1e-14)


def test_what_draws_random_numbers_is_refused() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(self.linear(x), 0.5, training=True)

    with pytest.raises(SubjectError, match="draws random numbers"):
        tw.EmpiricalRisk(Noisy().double(), nn.CrossEntropyLoss(), classes())


def test_fused_attention_has_no_second_derivative_and_is_not_taken() -> None:
    """The control shows the kernel that torch would take by itself; products leave it alone without being told."""
    made = attention()
    leaf = made.risk.initial.theta.float().requires_grad_()
    model = TinyAttention(5, 4).eval()
    named = made.risk.to(torch.float32).space.unravel(leaf)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        (gradient,) = torch.autograd.grad(functional_call(model, named, (made.data[0],)).sum(), leaf, create_graph=True)
        with pytest.raises(RuntimeError, match="not implemented"):
            torch.autograd.grad(gradient.sum(), leaf)
        with Operator(made.risk.to(torch.float32), made.risk.initial) as matrix:
            assert matrix(torch.ones(1, matrix.size)).isfinite().all()


def test_why_blocks_of_vectors_avoid_forward_mode_under_vmap() -> None:
    """torch 2.13 refuses it for the squared loss; when this fails, it is mended and may be measured anew."""
    made = functional()
    theta = made.risk.initial.theta
    vectors = torch.eye(len(theta)).double()[:3]
    mse = torch.func.grad(lambda t: F.mse_loss(made.outputs(t), made.data[1]))
    with pytest.raises(RuntimeError, match="ZeroTensors"):
        torch.func.vmap(lambda v: torch.func.jvp(mse, (theta,), (v,))[1])(vectors)
    plain = torch.func.grad(made.value)
    found = torch.func.vmap(lambda v: torch.func.jvp(plain, (theta,), (v,))[1])(vectors)
    with Operator(made.risk, theta) as matrix:
        torch.testing.assert_close(matrix(vectors), found, rtol=1e-12, atol=1e-15)
