"""A picture of the gallery: light and dark, what is seen on it, and the lines that made it."""

from __future__ import annotations

import ast
import struct
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXAMPLES = Path(__file__).parents[2] / "examples" / "gallery"
IMAGES = Path(__file__).parents[1] / "images" / "gallery"
WIDE = 1.5
"""From this width to height on a picture keeps its size on a small screen and is moved sideways."""


def size(png: Path) -> tuple[int, int]:
    """Width and height of a PNG in pixels, from its header."""
    with png.open("rb") as file:
        found: tuple[int, int] = struct.unpack(">II", file.read(24)[16:])
    return found


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
        wide, high = size(IMAGES / f"{name}.png")
        kind = "picture wide" if wide > WIDE * high else "picture"
        images = [
            nodes.image(uri=f"/images/gallery/{name}{ending}.png", alt=said, classes=[*kind.split(), f"only-{theme}"])
            for theme, ending in (("light", ""), ("dark", "-dark"))
        ]
        held = nodes.container("", *images, classes=["pictures"])
        block = nodes.literal_block(code, code, language="python")
        return [held, *self.parse_content_to_nodes(), block]


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
