"""What a stranger reads: commands by question, help for every option, an example each, errors of one line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

import thalweg
from thalweg.cli import app, main
from thalweg.cli.overview import QUESTIONS

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_every_command_stands_under_one_question(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [name for names in QUESTIONS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    code, out, _ = said(capsys)
    assert code == 0 and out == said(capsys, "--help")[1]
    places = [out.index(f"{question}\n") for question in QUESTIONS]
    assert places == sorted(places) and "\nMore\n" not in out and "..." not in out.split("\n", 1)[1]
    assert all(re.search(rf"^  {name} +[A-Z]", out, re.M) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_and_every_command_has_an_example(name: str) -> None:
    command = COMMANDS[name]
    bare = [p.name for p in command.params if not (getattr(p, "help", "") or "").strip()]
    assert not bare, f"thalweg {name}: {bare} have no help"
    assert len(re.findall(rf"^Example: thalweg {name} ", command.help or "", re.M)) == 1 or name == "zoo"
    assert not re.search(r"issue|TODO|#\d", command.help or "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["plam"], "No such command 'plam'. Did you mean 'plane'? (given: thalweg plam)"),
        (
            ["plane", "--stepss", "3"],
            "there is no option --stepss: did you mean --steps? (given: thalweg plane --stepss 3)",
        ),
        (["plane", "digits", "--xyzzy"], "there is no option --xyzzy; see thalweg plane --help"),
        (["plane"], "Missing argument 'subject'; see thalweg plane --help (given: thalweg plane)"),
        (["plane", "digits", "--seed", "x"], "Invalid value for '--seed'"),
        (["plane", "digits", "--steps", "x"], "--steps x: write a number such as 51, or two such as 51x31"),
        (["plane", "digitz"], "no zoo subject is called 'digitz': did you mean digits?"),
        (["reproduce", "saxe_2015"], "saxe_2014"),
        (["line", "digits", "--set", "hidden"], "--set hidden: write key=value"),
        (["line", "digits", "--resume"], "name it by --out DIR"),
        (["train", "digits", "--rule", "adm"], "adm"),
        (["connect", "digits", "--method", "sting"], "string"),
        (["audit", "digits", "--claims", "nobody"], "claim 'nobody' is unknown"),
        (["show", "nowhere"], "nowhere"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_a_mistake_is_one_line_with_its_value_and_a_way_on(
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *arguments)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("thalweg: ")
    assert text in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("thalweg pla", {"plane"}),
        ("thalweg plane --st", {"--steps", "--statistics"}),
        ("thalweg tra", {"train", "trajectory"}),
    ],
)
def test_a_shell_completes_commands_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str, expected: set[str]
) -> None:
    monkeypatch.setenv("_THALWEG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert set(said(capsys)[1].split()) == expected


def test_the_version_comes_from_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"{thalweg.__version__}\n", "")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/thalweg/__init__.py"
