"""``--split rows`` under torchrun: the numbers of one process, and one line where a rank dies."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.exec.test_torchrun import folder as folder
from tests.exec.test_torchrun import said, torchrun
from thalweg.cli import main
from thalweg.errors import CheckpointError

SUBJECT = """
import os, signal
import torch
from torch import nn

class Net(nn.Sequential):
    calls = 0

    def forward(self, x):
        Net.calls += 1
        if Net.calls > 60 and os.environ.get("RANK") == "1" and os.environ.get("FATE") == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

def make():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2500, 4, generator=g, dtype=torch.float64)
    y = (x @ torch.randn(4, 3, generator=g, dtype=torch.float64)).argmax(1)
    return Net(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double(), nn.CrossEntropyLoss(), (x, y)
"""
OPTIONS = ("--backend", "loop", "--threads", "1", "--json")


def numbers(found: Any) -> Any:
    """Without what is measured by a clock."""
    if isinstance(found, dict):
        return {k: numbers(v) for k, v in found.items() if k not in ("seconds", "checkpoints")}
    return found


@pytest.mark.parametrize(
    "command", [("train", "rows.py:make", "--steps", "8"), ("critical", "rows.py:make", "--dense-below", "5")]
)
def test_two_ranks_answer_as_one(folder: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]) -> None:
    (folder / "rows.py").write_text(SUBJECT)
    ran = torchrun(2, *command, *OPTIONS, "--split", "rows")
    assert ran.returncode == 0, ran.stderr
    with pytest.raises(SystemExit) as end:
        main([*command, *OPTIONS])
    assert not end.value.code
    found, expected = numbers(json.loads(ran.stdout)), numbers(json.loads(capfd.readouterr().out))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-14), name
        elif not isinstance(value, (dict, list)):
            assert found[name] == value, name


def test_a_killed_rank_ends_the_command_in_one_line(folder: Path) -> None:
    (folder / "rows.py").write_text(SUBJECT)
    ran = torchrun(2, "plane", "rows.py:make", "--steps", "21", *OPTIONS, "--split", "rows", FATE="killed")
    assert ran.returncode != 0
    assert len(said(ran.stderr)) <= 1  # the launcher may end rank 0 before it has noticed
    assert not ran.stdout.strip()


def test_rows_without_ranks_are_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "rows.py").write_text(SUBJECT)
    with pytest.raises(SystemExit) as end:
        main(["plane", "rows.py:make", "--split", "rows"])
    assert end.value.code == 2
    assert "torchrun --nproc-per-node" in capfd.readouterr().err


def test_a_sharded_checkpoint_is_refused_with_the_way_out(tmp_path: Path) -> None:
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    net = nn.Linear(4, 3).double()
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.ones(2, 4).double(), torch.ones(2, 3).double()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that one process saves alone
        checkpoint.save(net.state_dict(), checkpoint_id=tmp_path / "shards")
    with pytest.raises(CheckpointError, match="dcp_to_torch"):
        tw.load_points(risk, tmp_path / "shards")
    dcp_to_torch_save(tmp_path / "shards", tmp_path / "whole.pt")
    assert torch.equal(tw.load_points(risk, tmp_path / "whole.pt")[0].theta, risk.initial.theta)
