"""What the sources import is declared: a dependency, an extra, or what the message of a refusal names."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = {"curvlinops": "curvlinops-for-pytorch", "pytorch_lightning": "pytorch-lightning"}
"""Modules that are used where they happen to be there; no extra installs them."""


def imported(source: str) -> set[str]:
    """The top-level modules that a file imports when it runs, wherever in it."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            texts = [x.value for x in ast.walk(node) if isinstance(x, ast.Constant) and isinstance(x.value, str)]
            found |= {text.partition(".")[0] for text in texts}
    return found


def declared() -> set[str]:
    """The distributions of pyproject.toml but those of development, in lower case."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in ("dev", "docs")}
    needs = [*project["dependencies"], *(need for needs in extras.values() for need in needs)]
    return {re.split(r"[\[<>=;~! ]", need)[0].lower() for need in needs}


def test_every_import_of_the_sources_is_declared() -> None:
    used: dict[str, Path] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        used |= dict.fromkeys(imported(path.read_text(encoding="utf-8")), path)
    foreign = {name: path for name, path in used.items() if name not in sys.stdlib_module_names and name != "thalweg"}
    assert {"torch", "PIL", "xarray", "lightning"} <= set(foreign)  # whatever the way in which they are imported
    names = {**{name: name for name in foreign}, "PIL": "pillow", "sklearn": "scikit-learn", **NAMED}
    missing = {name: path for name, path in foreign.items() if name not in NAMED and names[name] not in declared()}
    assert not missing


def test_the_check_sees_imports_inside_functions_and_by_name() -> None:
    text = "import a.b\ndef f():\n    from c.d import e\n    importlib.import_module('g.h')\nfrom . import i\n"
    text += "if TYPE_CHECKING:\n    import j\n"
    assert imported(text) == {"a", "c", "g"}


def test_what_is_declared_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert not declared() - pinned - {"thalweg", "torch"}
    assert importlib.metadata.version("pillow") in "\n".join(lines)
