"""Pages and cards made from records. Nothing that draws is loaded before a page is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.report.card import card as card
from thalweg.report.section import Section as Section

if TYPE_CHECKING:
    from thalweg.report.atlas import page as page
    from thalweg.report.twins import twin as twin

_LATER = {"page": "atlas", "twin": "twins"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        globals()[name] = getattr(importlib.import_module(f"thalweg.report.{_LATER[name]}"), name)
        return globals()[name]
    raise AttributeError(f"module 'thalweg.report' has no attribute {name!r}")
