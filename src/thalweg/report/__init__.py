"""Pages and cards made from records. Nothing that draws is loaded before a page is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.report.card import card as card
from thalweg.report.section import Section as Section

if TYPE_CHECKING:
    from thalweg.report.atlas import page as page


def __getattr__(name: str) -> Any:
    if name == "page":
        import importlib

        globals()["page"] = importlib.import_module("thalweg.report.atlas").page
        return globals()["page"]
    raise AttributeError(f"module 'thalweg.report' has no attribute {name!r}")
