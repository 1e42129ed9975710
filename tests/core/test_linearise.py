"""The linear expansion of a network is an objective like any other, exact to first order, with a constant Jacobian."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.core import test_objectives as contract
from thalweg.core.linearise import Expansion, forward_mode, reverse_mode
from thalweg.core.objective import Objective
from thalweg.core.statistics import Batch
from thalweg.errors import InputError
from thalweg.testing import ObjectiveContract

NETWORKS = ("mlp", "conv", "attention", "encoder", "recurrent", "custom", "filling")


class TestContract(ObjectiveContract):
    @pytest.fixture(params=NETWORKS, autouse=True)
    def _named(self, request: pytest.FixtureRequest) -> None:
        risk = contract.OBJECTIVES[request.param]().to(torch.float64)
        self.kept = tw.linearise(risk, contract.nearby(risk, 1)[0])

    def make(self) -> Objective:
        return self.kept


def test_rows_of_each_point_s_own_fall_back_to_the_loop() -> None:
    """vmap takes a forward that fills in place as long as all points share their rows, and then not."""
    risk = contract.OBJECTIVES["filling"]().to(torch.float64)
    points, index = contract.nearby(risk, 2), torch.tensor([[0, 1, 2], [3, 4, 5]])
    fast, loop = (tw.linearise(risk.with_backend(b), risk.initial).rows(index) for b in ("vmap", "loop"))
    torch.testing.assert_close(fast.losses(points), loop.losses(points), rtol=1e-12, atol=1e-12)
    for found, wanted in zip(fast.value_and_grad(points), loop.value_and_grad(points), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_explicit_jacobian(name: str) -> None:
    risk = contract.OBJECTIVES[name]().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    start, theta = contract.nearby(risk, 2)
    point = risk.point(start)
    frozen = risk.at(point)
    linear = tw.linearise(risk, point)
    z0, jacobian = frozen.outputs(start), frozen.jacobian(start)
    expected = z0 + jacobian @ (theta - start)
    torch.testing.assert_close(linear.outputs(theta), expected, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(linear.outputs(start), z0, rtol=1e-13, atol=1e-13)
    assert float((frozen.outputs(theta) - expected).norm()) > 1e-4  # the network itself is not linear there
    torch.testing.assert_close(linear.jacobian(theta), jacobian, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "push"), [("mlp", forward_mode), ("attention", forward_mode), ("custom", reverse_mode)]
)
def test_the_way_of_taking_products_is_chosen_by_what_the_network_allows(name: str, push: object) -> None:
    risk = contract.OBJECTIVES[name]().to(torch.float64)
    module = tw.linearise(risk, risk.initial).network.module
    assert isinstance(module, Expansion) and module._push is push


def squares(width: int = 4) -> tw.EmpiricalRisk:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2)).double()
    return tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(9, 3).double(), torch.randn(9, 2).double()))


def test_curvature_of_squares_is_the_gauss_newton_matrix_everywhere() -> None:
    risk = squares()
    linear = tw.linearise(risk, risk.initial)
    thetas = contract.nearby(risk, 3) * 2
    hessians = [contract.dense_hessian(linear, theta) for theta in thetas]
    for hessian in hessians[1:]:
        torch.testing.assert_close(hessian, hessians[0], rtol=1e-10, atol=1e-11)
    jacobian = risk.jacobian(risk.initial).reshape(18, -1)
    torch.testing.assert_close(hessians[0], 2 / 18 * jacobian.T @ jacobian, rtol=1e-10, atol=1e-11)
    own = [contract.dense_hessian(risk, theta) for theta in thetas]
    assert float((own[0] - own[1]).norm()) > 1e-2  # of the network itself it is not


def test_gap_to_the_network_is_of_second_order() -> None:
    risk = squares()
    linear = tw.linearise(risk, risk.initial)
    step = torch.randn(risk.space.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gaps = [
        float((risk.outputs(theta) - linear.outputs(theta)).norm())
        for theta in (risk.initial.theta + h * step for h in (1e-2, 1e-3))
    ]
    assert 90 < gaps[0] / gaps[1] < 110
    assert linear.value_and_grad(risk.initial.theta[None])[0] == risk.value_and_grad(risk.initial.theta[None])[0]


def test_every_kind_of_method_takes_it() -> None:
    risk = squares()
    linear = tw.linearise(risk, risk.initial)
    run = tw.descent.Descent(tw.descent.GradientDescent(lr=0.1), steps=30)(linear, risk.initial.theta)
    assert run.data["loss"][-1, 0] < run.data["loss"][0, 0]
    surface = tw.slices.Plane(steps=5)(linear, linear.initial)
    assert surface.data["loss"].shape == (5, 5)
    found = tw.curvature.Lanczos(k=2)(linear, linear.initial)
    path = tw.paths.connect(linear, linear.initial.theta, torch.from_numpy(run.final[0].copy()), method="straight")
    assert found.eigenvalues[0] > 0
    # squares of an affine map are convex, so the segment stays below its ends
    assert path.rows[0].status.name == "CONNECTED"
    assert path.path("straight")["loss"].max() <= run.data["loss"].max() * (1 + 1e-9)


def test_statistics_are_constants_of_the_expansion() -> None:
    risk = contract.conv().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    point = risk.point(risk.initial.theta)
    linear = tw.linearise(risk, risk.initial.theta)
    assert linear.statistics_name == "" and linear.training() is linear and linear.reporting() is linear
    torch.testing.assert_close(linear.losses(point.theta[None]), risk.at(point).losses(point.theta[None]))
    with pytest.raises(InputError, match="batch"):
        tw.linearise(risk.with_statistics(Batch()), risk.initial)


def test_dtype_rows_and_identity_follow() -> None:
    risk = squares()
    linear = tw.linearise(risk, risk.initial)
    theta = contract.nearby(risk, 1)[0]
    single = linear.to(torch.float32)
    assert single.space.dtype == torch.float32
    torch.testing.assert_close(single.losses(theta[None].float()), linear.losses(theta[None]), rtol=1e-5, atol=1e-6)
    index = torch.arange(0, 9, 2)
    part = tw.linearise(risk.rows(index), risk.initial)
    torch.testing.assert_close(linear.rows(index).losses(theta[None]), part.losses(theta[None]))
    other = tw.linearise(risk, theta)
    assert linear.fingerprint() == tw.linearise(risk, risk.initial).fingerprint() != risk.fingerprint()
    assert other.fingerprint() != linear.fingerprint()
    assert linear.space.names == risk.space.names


def test_a_formula_has_nothing_to_linearise() -> None:
    with pytest.raises(InputError, match="Function has none"):
        tw.linearise(contract.formula(), torch.zeros(3))


def test_forward_and_reverse_agree_on_a_module_with_both() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 2)).double()
    named = {n: p.detach() for n, p in net.named_parameters()}
    v = {n: torch.randn(p.shape, dtype=torch.float64) for n, p in named.items()}
    x = torch.randn(5, 3, dtype=torch.float64)
    one, other = (
        push(lambda p: [torch.func.functional_call(net, p, (x,))], named, v) for push in (forward_mode, reverse_mode)
    )
    torch.testing.assert_close(one[1][0], other[1][0], rtol=1e-12, atol=1e-13)
    assert float(F.mse_loss(one[0][0], other[0][0])) == 0.0
