"""Test rows that an objective carries: the same network, loss and statistics, and no influence on F."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg.core.statistics import Freeze, Recalibrate


def risk(**options: object) -> tw.EmpiricalRisk:
    torch.manual_seed(0)
    net = DictConvNet()
    return tw.EmpiricalRisk(
        net,
        nn.CrossEntropyLoss(),
        conv_data(40, 0),
        metrics={"accuracy": tw.accuracy},
        test=conv_data(15, 1),
        **options,
    )


@pytest.mark.parametrize("policy", [None, Freeze(), Recalibrate()])
def test_test_rows_are_the_same_objective_over_other_rows(policy: object) -> None:
    """Statistics are those of the training rows, also where they are estimated anew at every point."""
    one = risk(statistics=policy).to(torch.float64)
    thetas = one.initial.theta + 0.1 * torch.randn(3, one.space.size, dtype=torch.float64)
    assert one.test is not None and one.test.row_count == 15 and one.test.test is None
    expected = one.with_data(conv_data(15, 1)).evaluate(thetas)
    for name, found in one.test.evaluate(thetas).items():
        assert torch.equal(found, expected[name])


def test_test_rows_change_nothing_of_the_objective_itself() -> None:
    torch.manual_seed(0)
    without = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(40, 0))
    assert without.test is None
    found = risk()
    assert found.fingerprint() == without.fingerprint()
    assert torch.equal(found.losses(found.initial.theta[None]), without.losses(without.initial.theta[None]))


def test_test_rows_stay_through_every_variant_and_leave_with_other_rows() -> None:
    one = risk()
    for made in (one.to(torch.float64), one.with_backend("loop"), one.at(one.initial), one.reporting(), one.training()):
        assert made.test is not None and made.test.statistics_name == made.statistics_name
    assert one.with_data(conv_data(9, 2)).test is None
    assert tw.Function(lambda x: x.square().sum(), 2).test is None


def test_a_pass_over_the_test_rows_costs_their_share() -> None:
    metered = tw.Metered(risk())
    test = metered.test
    assert test is not None and tw.Metered(tw.zoo.polynomial()).test is None
    test.losses(metered.initial.theta.expand(4, -1))
    assert metered.meter.cost.forwards == pytest.approx(4 * 15 / 40) and metered.meter.cost.rows == 4 * 15


@pytest.mark.parametrize(
    ("test", "error", "words"),
    [
        ((torch.randn(5, 4), torch.zeros(5, dtype=torch.long)), tw.errors.SubjectError, "forward pass fails"),
        ((torch.randn(5, 3), torch.full((5,), 7)), tw.errors.LossError, "test rows"),
        ((torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)), tw.errors.DataError, "0 rows"),
    ],
)
def test_rows_that_the_network_or_the_loss_cannot_take_are_refused(
    test: object, error: type[Exception], words: str
) -> None:
    data = torch.randn(8, 3), torch.arange(8) % 2
    with pytest.raises(error, match=words):
        tw.EmpiricalRisk(nn.Linear(3, 2), nn.CrossEntropyLoss(), data, test=test)
