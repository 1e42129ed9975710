"""What a stranger does wrong first: one line that quotes the value and names the remedy, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import thalweg as tw
from tests.study import strangers
from thalweg.cli import main

FILE = Path(strangers.__file__)

MISTAKES = {
    "floats": "targets [12] torch.float32: expected",
    "lists": "inputs[0][0] is a single number: give tensors or arrays whose first axis is the row",
    "uninstantiated": "the loss is the class CrossEntropyLoss: make one, CrossEntropyLoss()",
    "swapped": "no parameter of CrossEntropyLoss requires a gradient",
    "scaling": "forward changes inputs in place: let it work on a copy",
    "more_keys": "forward takes x, mask and no ids: leave what it does not take out of the dict",
    "fewer_keys": "missing 1 required positional argument: 'mask'; pass the inputs the model takes",
    "wrapped": "outputs['logits'] [12, 3] torch.float32",
    "lazy": "0.weight has no shape yet: call the model once on a row",
    "leaving": "raised SystemExit: 3; mend the factory",
}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and err.count("\n") == 1 and err.startswith("thalweg: "), err
    return err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert MISTAKES[name] in refused(capsys, "plane", f"{FILE}:{name}", "--steps", "3")


def test_targets_of_the_wrong_kind_are_told_what_classes_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert "classes are numbers from 0 to 2 in int64" in refused(capsys, "line", f"{FILE}:floats")
    assert "the model returns a dict" in refused(capsys, "line", f"{FILE}:wrapped")


def test_the_users_rows_stay_what_they_are() -> None:
    rows = strangers.X.clone()
    with pytest.raises(tw.errors.SubjectError, match="in place"):
        tw.EmpiricalRisk(*strangers.scaling())
    assert torch.equal(strangers.X, rows)


def test_a_derivative_through_what_was_written_over_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "train", f"{FILE}:overwriting", "--steps", "2")
    assert "output 0 of Sigmoid" in said and "h = h + 1" in said


def test_outputs_without_a_gradient_are_warned_of() -> None:
    with pytest.warns(tw.errors.ThalwegWarning, match="every derivative would come out as zero"):
        risk = tw.EmpiricalRisk(*strangers.detached())
    assert torch.isfinite(risk.losses(risk.initial.theta[None])).all()


def test_a_checkpoint_that_holds_more_or_less_than_the_network_is_told_apart(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = strangers.Own().state_dict()
    torch.save({"net": named, "epoch": 3}, tmp_path / "nested.pt")
    torch.save({f"student.{name}": x for name, x in named.items()}, tmp_path / "prefixed.pt")
    command = ("plane", f"{FILE}:own", "--checkpoint")
    assert "holds a dict of net, epoch that is no dict of tensors" in refused(capsys, *command, f"{tmp_path}/nested.pt")
    assert "save the state_dict of .student" in refused(capsys, *command, f"{tmp_path}/prefixed.pt")


def test_a_file_without_a_factory_and_one_that_ends_the_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "names no factory: write mymodel.py:make" in refused(capsys, "plane", "mymodel.py")
    script = tmp_path / "script_that_ends.py"
    script.write_text("raise SystemExit(1)\n")
    assert "put what the script does under if __name__ == '__main__'" in refused(capsys, "plane", f"{script}:make")
    assert "there is digits, polynomial," in refused(capsys, "plane", "nope")
