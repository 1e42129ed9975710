"""A recorded trajectory as a run, against F evaluated where training was; and as what commands take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.study.test_cli import answer, refused
from tests.trajectories.networks import data, flat, network, objective, one_step, optimiser
from thalweg.errors import InputError, StoreError
from thalweg.records import Run, RunStatus
from thalweg.store import Directory
from thalweg.study.show import show_record
from thalweg.trajectories import Keep, Load, load, read, record


def recorded(path: Path, normalised: bool = True, keep: Keep | None = None) -> list[torch.Tensor]:
    """Points 0, 3, 6, 9, 10 of a training, as they were."""
    model = network(normalised)
    sgd, seen = optimiser(model), [flat(model)]
    with record(model, path, every=3, optimizer=sgd, keep=keep) as recorder:
        for _ in range(10):
            recorder.note(loss=1.5)
            one_step(model, sgd)
            seen.append(flat(model))
    return [seen[step] for step in (0, 3, 6, 9, 10)]


@pytest.mark.parametrize("normalised", [True, False])
def test_a_run_has_f_and_its_gradient_at_every_point(tmp_path: Path, normalised: bool) -> None:
    seen, risk = recorded(tmp_path / "run", normalised), objective(normalised)
    run = load(tmp_path / "run", risk)
    assert isinstance(run, Run) and run.status is RunStatus.RECORDED and run.rule == "SGD"
    assert run.data["steps"].tolist() == [0, 3, 6, 9, 10] and run.data["ended"].tolist() == [10]
    inputs, targets = data()
    for i, theta in enumerate(seen):
        model = network(normalised)  # in training mode, as the objective sees its steps
        nn.utils.vector_to_parameters(theta, model.parameters())
        loss = nn.functional.mse_loss(model.double()(inputs.double()), targets.double())
        loss.backward()
        norm = torch.cat([p.grad.reshape(-1) for p in model.parameters()]).norm()
        assert np.array_equal(run.data["thetas"][i, 0], theta.numpy())
        assert run.data["gradient_norm"][i, 0] == pytest.approx(norm.item(), rel=1e-4)
        if not normalised:
            assert run.data["loss"][i, 0] == pytest.approx(loss.item(), rel=1e-5)
        else:  # statistics estimated at each point, so that values are those of evaluation
            expected = risk.reporting().losses(theta[None])
            assert run.data["loss"][i, 0] == pytest.approx(float(expected[0]), rel=1e-6)
    assert np.isnan(run.data["reported_loss"][0]) and (run.data["reported_loss"][1:] == 1.5).all()
    assert (run.data["learning_rate"] == 0.05).all() and run.provenance.points == ("run",)


def test_a_run_of_a_recording_can_be_kept_and_read_again(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    run = load(tmp_path / "run", objective())
    store = Directory.open(tmp_path / "study", {}, resume=False)
    store.save_record("train", run)
    again = store.load_record("train")
    assert isinstance(again, Run) and again.status is RunStatus.RECORDED and again.summary == run.summary
    assert np.array_equal(again.data["thetas"], run.data["thetas"])


def test_few_points_or_few_gradients(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    risk = objective()
    assert load(tmp_path / "run", risk, most=3).data["steps"].tolist() == [0, 6, 10]
    assert load(tmp_path / "run", risk, most=9).data["steps"].tolist() == [0, 3, 6, 9, 10]
    with pytest.raises(InputError, match="most=1"):
        Load("run", most=1)
    each = load(tmp_path / "run", risk).cost.units / 5
    some = load(tmp_path / "run", risk, budget=tw.Budget(gradients=2.5 * each))
    assert some.data["steps"].tolist() == [0, 3] and "last 3 points" in some.provenance.notes[0]


def test_another_network_is_refused_and_one_inside_another_is_not(tmp_path: Path) -> None:
    seen = recorded(tmp_path / "run")
    wide = tw.EmpiricalRisk(nn.Sequential(nn.Linear(4, 7), nn.BatchNorm1d(7), nn.Linear(7, 1)), nn.MSELoss(), data())
    with pytest.raises(InputError, match=r"another network: its 0.weight has shape \[6, 4\], the network's \[7, 4\]"):
        load(tmp_path / "run", wide)
    renamed = nn.Sequential()
    for name, part in zip("abc", network(), strict=True):
        renamed.add_module(name, part)
    with pytest.raises(InputError, match=r"its '0.weight' stands where the network has 'a.weight'"):
        load(tmp_path / "run", tw.EmpiricalRisk(renamed, nn.MSELoss(), data()))
    short = tw.EmpiricalRisk(nn.Linear(4, 1), nn.MSELoss(), data())
    with pytest.raises(InputError, match="it has 6 tensors, the network 2"):
        load(tmp_path / "run", short)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

    outer = load(tmp_path / "run", tw.EmpiricalRisk(Outer(), nn.MSELoss(), data()))
    assert np.array_equal(outer.data["thetas"][-1, 0], seen[-1].numpy())
    recorded(tmp_path / "sketch", keep=Keep(sketch=4))
    with pytest.raises(InputError, match="no points"):
        load(tmp_path / "sketch", objective())
    with pytest.raises(StoreError, match="holds no trajectory"):
        load(tmp_path, objective())


def test_points_kept_coarsely_are_evaluated_where_they_were_kept(tmp_path: Path) -> None:
    seen = recorded(tmp_path / "run", keep=Keep(dtype="bfloat16"))
    run = load(tmp_path / "run", objective())
    assert np.array_equal(run.data["thetas"][-1, 0], seen[-1].bfloat16().float().numpy())
    assert not np.array_equal(run.data["thetas"][-1, 0], seen[-1].numpy())


def test_every_command_takes_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    risk = tw.zoo.digits(hidden=(4,), test=297)
    model = nn.Sequential(nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for name in ("a", "b"):
        with record(model, tmp_path / name, every=2, optimizer=sgd):
            for _ in range(6):
                sgd.zero_grad()
                nn.functional.cross_entropy(model(risk.table.inputs), risk.table.targets).backward()
                sgd.step()
    a = ("digits", "--set", "hidden=[4]", "--run", tmp_path / "a")
    plane = answer(capsys, "plane", *a, "--run", tmp_path / "b", "--steps", 3, "--out", tmp_path / "plane")
    assert plane["runs"] == ["a", "b"] and plane["points"] == 9
    kernel = answer(capsys, "kernel", *a, "--rows", 8, "--steps", 0)
    assert len(kernel["drift"]["steps"]) >= 2
    assert "another network" in refused(capsys, "plane", "polynomial", "--run", tmp_path / "a")
    (tmp_path / "a" / "trajectory.json").write_text("{}")
    assert "damaged" in refused(capsys, "plane", *a)


def test_recording_loads_no_zarr_before_its_end(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.trajectories.networks import *; from thalweg.trajectories import record\n"
        f"r = record(network(), {str(tmp_path / 'run')!r}).open(); r.step(1.0)\n"
        "assert not {'zarr', 'lightning', 'transformers', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert read(tmp_path / "run").steps.tolist() == [0]


def test_a_recording_is_shown_without_its_network(tmp_path: Path) -> None:
    model = network()
    with record(model, tmp_path / "run", every=2) as recorder:
        for step in range(5):
            recorder.step(1.0 / (1 + step), lr=0.1)
    found, text = show_record(str(tmp_path / "run"))
    assert found["kind"] == "trajectory" and found["steps"] == [0, 2, 4, 5] and found["learning_rate"][1:] == [0.1] * 3
    assert (
        "4 points of steps 0 to 5" in text and "from 0.5 to 0.2" in text and f"{flat(model).numel():,} numbers" in text
    )
    assert found["loss"][1:] == [0.5, 0.25, 0.2]
