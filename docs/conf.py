"""How the documentation is built: sphinx, furo and MyST, offline, warnings are errors (``make docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from thalweg import __version__  # noqa: E402

project = "thalweg"
author = "the authors of thalweg"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "rooms", "linked", "picture", "shell"]
exclude_patterns = ["_ext", "reproductions"]
nitpicky = True
# performance.md, which is written by runs, begins at the third level
suppress_warnings = ["myst.header"]

myst_heading_anchors = 4
myst_enable_extensions = ["deflist", "attrs_inline"]
myst_number_code_blocks: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"thalweg {release}"
html_static_path = ["_static"]
html_css_files = ["thalweg.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c83", "color-brand-content": "#0b5c83"},
    "dark_css_variables": {"color-brand-primary": "#7cc4e8", "color-brand-content": "#7cc4e8"},
}
pygments_style = "tango"
pygments_dark_style = "github-dark"
