"""Docstrings are prose, ``code``, roles and a Raises section; nothing else in them is markup."""

from __future__ import annotations

import re

MARKUP = re.compile(r"(``.+?``|:[a-z]+:`[^`]+`)", re.S)
ROLE = re.compile(r":([a-z]+):`~?([^`]+)`")


def raises(lines: list[str]) -> list[str]:
    """Turn the Raises section into fields."""
    for i in range(len(lines) - 1):
        if lines[i].strip() == "Raises" and set(lines[i + 1].strip()) == {"-"}:
            head, fields = lines[:i], [""]
            for line in lines[i + 2 :]:
                fields.append(line if not line or line[0].isspace() else f":raises {line.strip()}:")
            return head + fields
    return lines


def escaped(text: str) -> str:
    """Escape what reStructuredText would read as markup, outside code and roles."""
    parts = MARKUP.split(text)
    return "".join(re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", p) if i % 2 == 0 else p for i, p in enumerate(parts))


def plain(lines: list[str]) -> list[str]:
    """Escape prose; keep literal blocks, which follow a line that ends in two colons, as they are."""
    blocks: list[tuple[bool, list[str]]] = [(False, [])]
    for line in lines:
        literal, block = blocks[-1]
        if literal and line.strip() and not line[0].isspace():
            blocks.append((False, block := []))
        block.append(line)
        if not blocks[-1][0] and line.rstrip().endswith("::"):
            blocks.append((True, []))
    return [line for literal, block in blocks for line in (block if literal else escaped("\n".join(block)).split("\n"))]
