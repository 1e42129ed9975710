"""Pages and cards made from records. Nothing that draws is loaded before a page is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.report.card import card as card

if TYPE_CHECKING:
    from thalweg.report.atlas import Section as Section
    from thalweg.report.atlas import page as page


def __getattr__(name: str) -> Any:
    if name in ("page", "Section"):
        import importlib

        module = importlib.import_module("thalweg.report.atlas")
        globals().update(page=module.page, Section=module.Section)
        return globals()[name]
    raise AttributeError(f"module 'thalweg.report' has no attribute {name!r}")
