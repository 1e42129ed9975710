"""Every block of the README and the tutorials is executed, and every example is run."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from thalweg.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.S | re.M)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("mymodel", "thalweg_subject_mymodel"):
        sys.modules.pop(name, None)


def command(line: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(shlex.split(line)[1:])
    assert not end.value.code, line


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "tutorials").glob("*.md")), ids=lambda p: p.stem)
def test_tutorials_run_from_top_to_bottom(page: Path, folder: Path) -> None:
    names: dict = {}
    ran = 0
    for language, options, body in blocks(page):
        if "file=" in options:
            (folder / options.partition("file=")[2].strip()).write_text(body)
        elif language == "python":
            exec(compile(body, str(page), "exec"), names)
        elif language == "sh":
            for line in body.strip().splitlines():
                command(line)
        ran += 1
    assert ran >= 3


def test_the_readmes_python_runs(folder: Path) -> None:
    (body,) = [body for language, _, body in blocks(ROOT / "README.md") if language == "python"]
    exec(compile(body, "README.md", "exec"), {})
    assert (folder / "plane.png").stat().st_size > 10_000


def test_the_readmes_commands_run_on_a_users_model(folder: Path) -> None:
    tutorial = blocks(ROOT / "docs" / "tutorials" / "first-landscape.md")
    (model,) = [body for _, options, body in tutorial if "file=mymodel.py" in options]
    (folder / "mymodel.py").write_text(model)
    command("thalweg train mymodel.py:make --steps 5 --batch 64 --count 2 --out run")
    for new, old in (("a", "run/final-0"), ("b", "run/final-1")):
        os.link(f"{old}.safetensors", f"{new}.safetensors")
    lines = [line for language, _, body in blocks(ROOT / "README.md") if language == "sh" for line in body.splitlines()]
    ran = [line for line in lines if line.startswith("thalweg ")]
    for line in ran:
        command(line.replace("--steps 31", "--steps 5") + ("" if "--steps" in line else " --steps 5"))
    assert len(ran) == 3 and (folder / "atlas" / "index.html").is_file()


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(example: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert list(folder.glob("*.png"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
