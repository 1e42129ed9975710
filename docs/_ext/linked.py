"""Docstrings as this project writes them: prose, ``code``, roles and a Raises section; names lead to public pages.

A role that names nothing is a warning. One that names something without a page of its own becomes code.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import inspect
import re
from functools import cache
from typing import Any

from docutils import nodes
from prose import ROLE, plain, raises
from rooms import pages, public
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

LOG = logging.getLogger(__name__)


@cache
def named(target: str) -> Any:
    """Return the object of a dotted name, or None."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    if parts[0] != "thalweg":
        return getattr(builtins, target, None)
    for cut in range(len(parts) - 1, 0, -1):  # a function before the module of its name
        try:
            value: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part, part if part in getattr(value, "__dataclass_fields__", {}) else None)
            if value is None:
                break
        else:
            return value
        break
    with contextlib.suppress(ImportError):
        return importlib.import_module(target)
    return None


def page_of(target: str) -> str | None:
    """Return the public dotted name of a target, itself or its class."""
    owner = target.rpartition(".")[0]
    for cut in (target, owner if inspect.isclass(named(owner)) else ""):
        name = public().get(id(named(cut))) if cut else None
        if name:
            return name + target[len(cut) :]
    return None


def linked(role: re.Match[str], scopes: list[str], place: str) -> str:
    """Return a role that leads to a public page, or code."""
    kind, target = role.groups()
    for scope in scopes:
        full = f"{scope}.{target}" if scope else target
        found = named(full)
        if found is not None and (kind != "func" or callable(found)):
            to = page_of(full)
            return (
                f":{kind}:`{target.rpartition('.')[2]} <{to}>`" if to and kind in ("class", "func") else f"``{target}``"
            )
    LOG.warning("%s names %s, which is not there", place, target, type="docstring")
    return f"``{target}``"


def docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite one docstring for sphinx."""
    home = getattr(obj, "__module__", None) or ""
    owner = getattr(obj, "__qualname__", "")
    scopes = ["", f"{home}.{owner}", f"{home}.{owner.rpartition('.')[0]}".rstrip("."), home, name.rpartition(".")[0]]
    parent = named(name.rpartition(".")[0])
    scopes += [getattr(parent, "__module__", "") or "", *pages()]
    text = "\n".join(plain(raises(list(lines))))
    lines[:] = ROLE.sub(lambda m: linked(m, scopes, name), text).split("\n")


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement) -> nodes.Node | None:
    """Link the types of signatures to public pages; those of other packages stay text (mypy has checked them)."""
    if node.get("refdomain") != "py" or "refwarn" in node:
        return None
    domain = env.get_domain("py")
    last = node["reftarget"].rpartition(".")[2]
    home = getattr(named(f"{node.get('py:module')}.{node.get('py:class') or ''}".rstrip(".")), "__module__", None)
    full = node["reftarget"] if named(node["reftarget"]) is not None else f"{home}.{last}"
    entry = domain.objects.get(page_of(full) or "")  # type: ignore[attr-defined]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode) if entry else contnode


def signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str | None, result: str | None) -> Any:
    """Write a default that is made anew as Python can be read: ``<factory>`` would end the parsing."""
    return (args.replace("<factory>", "..."), result) if args else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
