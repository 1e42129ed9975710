"""The source itself: no evaluation of texts, no pickles, no network, and one place that runs the user's own code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import thalweg

SOURCE = Path(thalweg.__file__).parent

NO_MODULES = {
    "cloudpickle", "code", "dill", "ftplib", "http", "joblib", "marshal", "pty", "requests", "shelve", "smtplib",
    "telnetlib", "urllib", "urllib3", "wandb", "webbrowser", "xmlrpc", "yaml",
}  # fmt: skip
"""Modules that run what they read, or ask the network."""

NO_CALLS = {"__import__", "compile", "eval", "exec", "execfile"}
"""Functions that run texts."""

DECLARED = {
    ("core/checkpoints.py", "import pickle"),  # the error that torch.load raises
    ("core/pickled.py", "import pickletools"),  # lists instructions, carries out none
    ("store/lease.py", "import socket"),  # the name of this host
    ("store/names.py", "import urllib.parse"),  # quotes names of files
    ("study/subject.py", "exec_module"),  # the user's own factory, which the command line names
}
"""What is there on purpose."""

ALWAYS = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "read_array": ("allow_pickle", False),
    "write_array": ("allow_pickle", False),
}
"""Calls that name one argument, and with what value."""


def suspects(tree: ast.AST) -> Iterator[str]:
    """What in a module would run a text, load a pickle or ask the network."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if _odd(a.name))
        elif isinstance(node, ast.ImportFrom) and not node.level and _odd(node.module or ""):
            yield f"import {node.module}"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            if name in NO_CALLS or name in ("os.system", "os.popen", "builtins.eval", "builtins.exec"):
                yield name
            if last in (
                "exec_module",
                "loads_pickle",
                "read_pickle",
                "add_safe_globals",
                "hub",
                "urlopen",
                "download_url",
            ):
                yield last
            for call, (argument, value) in ALWAYS.items():
                if name == call or (call == last and "." not in call):
                    given = {k.arg: k.value for k in node.keywords}
                    held = given.get(argument)
                    if not (isinstance(held, ast.Constant) and held.value is value):
                        yield f"{name} without {argument}={value}"
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code", "shell"):
            given = ast.unparse(node.value)
            yield from () if given == "False" else (f"{node.arg}={given}",)


def _odd(module: str) -> bool:
    return module.partition(".")[0] in NO_MODULES | {"pickle", "pickletools", "socket"}


def test_nothing_runs_what_it_reads_or_asks_the_network() -> None:
    found = {
        (path.relative_to(SOURCE).as_posix(), suspect)
        for path in sorted(SOURCE.rglob("*.py"))
        for suspect in suspects(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == DECLARED


@pytest.mark.parametrize(
    "code",
    ["eval('1')", "exec(x)", "import pickle", "from pickle import loads", "import urllib.request", "import requests",
     "np.load(p)", "np.load(p, allow_pickle=True)", "torch.load(p)", "torch.load(p, weights_only=False)",
     "torch.load(p, weights_only=w)", "np.lib.format.read_array(f)", "from yaml import load", "import socket",
     "subprocess.run(c, shell=True)", "f(allow_pickle=x)", "os.system(c)", "spec.loader.exec_module(m)"],
)  # fmt: skip
def test_the_search_sees_what_it_is_for(code: str) -> None:
    assert list(suspects(ast.parse(code)))


@pytest.mark.parametrize("code", ["model.eval()", "torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)"])
def test_the_search_lets_the_rest_pass(code: str) -> None:
    assert not list(suspects(ast.parse(code)))
