"""A picture of the gallery: light and dark, what is seen on it, and the lines that made it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXAMPLES = Path(__file__).parents[2] / "examples" / "gallery"


class Picture(SphinxDirective):
    """``{picture} NAME``: images/gallery/NAME.png, the caption below, and the code of examples/gallery/NAME.py."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the images, the caption and the code."""
        name = self.arguments[0]
        path = EXAMPLES / f"{name}.py"
        self.env.note_dependency(str(path))
        text = path.read_text(encoding="utf-8")
        said = ast.get_docstring(ast.parse(text)) or name
        code = text.split('"""', 2)[2].strip("\n")
        images = [
            nodes.image(uri=f"/images/gallery/{name}{ending}.png", alt=said, classes=["picture", f"only-{theme}"])
            for theme, ending in (("light", ""), ("dark", "-dark"))
        ]
        block = nodes.literal_block(code, code, language="python")
        return [*images, *self.parse_content_to_nodes(), block]


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
