"""Commands as they are read: the program, its options, and words that are broken at their ends alone."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Name, Operator, Whitespace
from sphinx.application import Sphinx


class Shell(RegexLexer):
    """One command a line; each word is a token, so that the page's style can keep it whole."""

    name = "thalweg's commands"
    tokens: ClassVar = {
        "root": [
            (r"(?m)^[a-z]\w*", Name.Function),
            (r"--?[A-Za-z][\w-]*", Name.Attribute),
            (r"[&|<>]", Operator),
            (r"\s+", Whitespace),
            (r"\S+", Name),
        ]
    }


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    app.add_lexer("sh", Shell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
