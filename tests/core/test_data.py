"""Data come in as users have them: tensors, tuples, dicts, data sets, loaders; what cannot be right is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import thalweg as tw
from thalweg.core.data import read
from thalweg.errors import DataError, SubjectError


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.a(x) + self.b(y)


class Whole(Two):
    """Takes a dict as its one argument."""

    def forward(self, batch: dict) -> torch.Tensor:  # type: ignore[override]
        return self.a(batch["left"]) + self.b(batch["right"])


class Pairs(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> tuple[dict, int]:
        return {"x": torch.full((3,), float(i)), "y": torch.full((4,), float(i))}, i % 2


def parts(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(rows, 3, generator=generator),
        torch.randn(rows, 4, generator=generator),
        torch.randn(rows, 2, generator=generator),
    )


def test_inputs_are_handed_over_as_they_are() -> None:
    x, y, t = parts()
    torch.manual_seed(0)
    two = Two()
    whole = Whole()
    whole.load_state_dict(two.state_dict())
    expected = nn.functional.mse_loss(two(x, y), t).detach()
    for model, inputs in (
        (two, (x, y)),
        (two, {"y": y, "x": x}),
        (whole, {"left": x, "right": y}),
    ):
        risk = tw.EmpiricalRisk(model, nn.MSELoss(), (inputs, t), block_rows=2)
        torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0].float(), expected)


def test_numpy_arrays_data_sets_and_loaders_are_read_once_in_order() -> None:
    x, _, t = parts()
    table = read((x.numpy(), t.numpy()))
    for data in (TensorDataset(x, t), DataLoader(TensorDataset(x, t), batch_size=2), table):
        assert read(data).digest == table.digest
    rows = read(Pairs())
    assert rows.inputs["x"].shape == (5, 3) and rows.targets.tolist() == [0, 1, 0, 1, 0]
    assert read(DataLoader(Pairs(), batch_size=3)).digest == rows.digest


def test_a_shuffled_loader_is_refused() -> None:
    x, _, t = parts(50)
    with pytest.raises(DataError, match="two readings of the DataLoader differ"):
        read(DataLoader(TensorDataset(x, t), batch_size=7, shuffle=True))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((torch.zeros(0, 3), torch.zeros(0)), "0 rows"),
        ((torch.zeros(3, 3), torch.zeros(4)), "inputs 3, targets 4"),
        (({"a": torch.zeros(3), "b": torch.zeros(2)}, torch.zeros(3)), r"inputs\['b'\] 2"),
        ((torch.tensor([[1.0], [float("nan")]]), torch.zeros(2)), "inputs is NaN in row 1"),
        (([torch.zeros(2), [object()]], torch.zeros(2)), "object is no tensor"),
        (3, "type int"),
        (TensorDataset(torch.zeros(3, 1)), "no \\(input, target\\) pair"),
    ],
)
def test_what_cannot_be_right_is_refused(data: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(data)


def test_random_data_sets_and_dropped_rows_are_refused() -> None:
    class Jitter(Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return torch.rand(3), i % 2

    with pytest.raises(DataError, match="two readings of the Dataset differ"):
        read(Jitter())
    with pytest.raises(DataError, match="drop_last"):
        read(DataLoader(Pairs(), batch_size=2, drop_last=True))


def test_a_checkpoint_without_its_statistics_or_of_other_shapes_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.conftest import DictConvNet, conv_data

    net = DictConvNet()
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), conv_data())
    torch.save(dict(net.named_parameters()), tmp_path / "bare.pt")
    with pytest.raises(tw.errors.CheckpointError, match=r"misses norm\.running_mean"):
        tw.load_points(risk, tmp_path / "bare.pt")
    torch.save({**net.state_dict(), "norm.running_mean": torch.zeros(7)}, tmp_path / "shape.pt")
    with pytest.raises(tw.errors.CheckpointError, match=r"norm\.running_mean has shape \[7\], the model wants \[4\]"):
        tw.load_points(risk, tmp_path / "shape.pt")


def test_a_failing_forward_is_one_line_with_the_shapes() -> None:
    with pytest.raises(SubjectError, match=r"inputs \[5, 4\] torch.float32: RuntimeError"):
        tw.EmpiricalRisk(nn.Linear(3, 2), nn.MSELoss(), (torch.zeros(5, 4), torch.zeros(5, 2)))
    with pytest.raises(SubjectError, match="wrap it in one"):
        tw.EmpiricalRisk(lambda x: x, nn.MSELoss(), (torch.zeros(5, 4), torch.zeros(5, 2)))  # type: ignore[arg-type]


def test_outputs_must_have_a_row_each() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x).mean(0, keepdim=True)

    with pytest.raises(DataError, match="first axis must be the row"):
        tw.EmpiricalRisk(Pooled(), nn.MSELoss(), (torch.zeros(5, 3), torch.zeros(5, 2)))


def test_rows_must_not_see_one_another() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x - x.mean(0))

    data = (torch.randn(9, 3), torch.randn(9, 2))
    with pytest.raises(SubjectError, match="with the rows evaluated beside it"):
        tw.EmpiricalRisk(Centred(), nn.MSELoss(), data)
    forgetful = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False))
    with pytest.warns(tw.errors.StatisticsWarning, match="keeps no running statistics"):
        tw.EmpiricalRisk(forgetful, nn.MSELoss(), data)


def test_accuracy_shares_ties_and_leaves_ignored_tokens_out() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], [5.0, 1.0, 1.0, 5.0]])
    np.testing.assert_allclose(tw.accuracy(logits, torch.tensor([2, 1, 0])), [0.25, 1.0, 0.5])
    tokens = torch.zeros(1, 2, 3)
    tokens[0, 1] = 1.0
    np.testing.assert_allclose(tw.accuracy(tokens, torch.tensor([[1, 0, -100]])), [0.5])
    assert tw.accuracy(torch.full((1, 3), float("nan")), torch.tensor([0])).item() == 0.0


def test_parameters_of_two_dtypes_or_none_are_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2).double())
    with pytest.raises(tw.errors.InputError, match=r"float32 and torch\.float64"):
        tw.ParameterSpace.of_module(net)
    with pytest.raises(tw.errors.InputError, match="requires_grad=True"):
        tw.ParameterSpace.of_module(nn.Linear(2, 2).requires_grad_(False))


def test_ravel_and_unravel_are_inverse_and_name_what_does_not_fit() -> None:
    risk = tw.zoo.polynomial()
    named = risk.space.unravel(risk.initial.theta)
    assert torch.equal(risk.space.ravel(named), risk.initial.theta)
    batch = risk.space.unravel(risk.initial.theta.expand(7, -1))
    assert batch["0.weight"].shape == (7, 4, 1)
    with pytest.raises(tw.errors.InputError, match=r"0\.weight has shape \[4\], the model wants \[4, 1\]"):
        risk.space.ravel({**named, "0.weight": named["0.weight"][:, 0]})
    with pytest.raises(tw.errors.InputError, match="last axis must be P = 33"):
        risk.losses(torch.zeros(1, 5))


def test_streams_are_named_and_independent() -> None:
    from thalweg.core.rng import Stream, stream

    a = Stream(0)("x", 1)
    assert a.entropy == Stream(0, ("x", "1")).entropy != Stream(0)("x", 2).entropy
    assert torch.equal(torch.rand(3, generator=a.torch()), torch.rand(3, generator=a.torch()))
    with pytest.raises(tw.errors.InputError, match="rng='0'"):
        stream("0")  # type: ignore[arg-type]


def test_tied_checkpoints_load_under_either_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.conftest import TinyAttention

    torch.manual_seed(0)
    net = TinyAttention()
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), (torch.zeros(2, 3, dtype=torch.long),) * 2)
    for drop in ("embed.weight", "out.weight"):
        kept = {name: x for name, x in net.state_dict().items() if name != drop}
        torch.save(kept, tmp_path / "tied.pt")
        (point,) = tw.load_points(risk, tmp_path / "tied.pt")
        assert torch.equal(point.theta, risk.initial.theta)
    tw.save_point(risk, risk.initial, tmp_path / "p.safetensors")
    assert torch.equal(tw.load_points(risk, tmp_path / "p.safetensors")[0].theta, risk.initial.theta)
