"""Every block of the README and the guides is executed, and names in the text exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
from typer.main import get_command

import thalweg
from thalweg.cli import app, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([\w{}]+)([^\n]*)\n(.*?)^```", re.S | re.M)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def command(line: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(shlex.split(line)[1:])
    assert not end.value.code, line


def script(body: str) -> None:
    """Commands one after the other, in this process where they allow it; ``&`` and ``wait`` as in a shell."""
    running: list[subprocess.Popen[bytes]] = []
    for line in body.strip().splitlines():
        if line.startswith("torchrun ") or line.endswith(" &"):
            program, *words = shlex.split(line.removesuffix(" &"))
            module = {"torchrun": "torch.distributed.run", "thalweg": "thalweg"}[program]
            running.append(subprocess.Popen([sys.executable, "-m", module, *words]))
        if line == "wait" or line.startswith("torchrun "):
            assert [process.wait(timeout=300) for process in running] == [0] * len(running), body
            running.clear()
        elif not line.endswith(" &"):
            command(line)
    assert not running, "the page leaves a process behind"


DOCS = ROOT / "docs"
GUIDES = [*sorted((DOCS / "tutorials").glob("*.md")), *sorted((DOCS / "how-to").glob("*.md")), DOCS / "which-method.md"]
NEEDED = {"lightning": ["lightning.pytorch"], "huggingface": ["transformers", "accelerate"]}


def guide(page: Path):
    """Where trainers run, what they say of loggers, workers and their own deprecated parts is theirs."""
    marks = [pytest.mark.filterwarnings("ignore")] if page.stem in NEEDED else []
    return pytest.param(page, marks=marks, id=page.stem)


@pytest.mark.parametrize("page", [guide(page) for page in GUIDES])
def test_guides_run_from_top_to_bottom(page: Path, folder: Path) -> None:
    for library in NEEDED.get(page.stem, []):
        pytest.importorskip(library, reason=f"the extra {page.stem} is not installed")
    names: dict = {}
    ran = 0
    for language, options, body in blocks(page):
        if "file=" in options:
            (folder / options.partition("file=")[2].strip()).write_text(body)
        elif language == "python":
            exec(compile(body, str(page), "exec"), names)
        elif language == "sh":
            script(body)
        elif language.startswith("{"):  # a directive of the page
            continue
        elif language == "bash":  # a script for another machine
            subprocess.run(["bash", "-n"], input=body, text=True, check=True)
        else:
            assert language == "text", f"{page.name}: a block of {language!r} is not run"
            continue
        ran += 1
    assert ran >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_and_commands_in_the_text_exist(page: Path) -> None:
    text = BLOCK.sub(lambda block: block[3] if block[1].startswith("{") else "", page.read_text(encoding="utf-8"))
    for dotted in re.findall(r"`tw\.([A-Za-z_.]+)", text):
        attrgetter(dotted.rstrip("."))(thalweg)
    known = set(get_command(app).commands)
    for name in re.findall(r"`thalweg ([a-z]+)", text):
        assert name in known, f"{page.name} names the command {name}"


def test_the_readmes_python_runs(folder: Path) -> None:
    (body,) = [
        body
        for language, options, body in blocks(ROOT / "README.md")
        if language == "python" and "file=" not in options
    ]
    exec(compile(body, "README.md", "exec"), {})
    assert (folder / "plane.png").stat().st_size > 10_000


def test_the_readmes_commands_run_on_the_readmes_model(folder: Path) -> None:
    readme = blocks(ROOT / "README.md")
    (model,) = [body for _, options, body in readme if "file=mymodel.py" in options]
    (folder / "mymodel.py").write_text(model)
    lines = [line for language, _, body in readme if language == "sh" for line in body.splitlines()]
    ran = [line for line in lines if line.startswith("thalweg ")]
    for line in ran:
        command(re.sub(r"--steps \d+", "--steps 5", line) + ("" if "--steps" in line else " --steps 5"))
    assert len(ran) == 4 and (folder / "atlas" / "index.html").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
