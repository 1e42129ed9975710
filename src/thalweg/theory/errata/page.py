"""docs/errata.md, written from the suite: each sentence quoted, refuted and corrected."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from thalweg.theory.errata.erratum import Erratum
from thalweg.theory.errata.registry import ERRATA

HEAD = """# Errata

Sentences of the five sources that are false, need a hypothesis, are misprinted or only informal: each quoted with its
place, refuted by a construction, with the corrected statement beside it. Several of the sources are drafts, surveys or
labelled conjectures; nothing is said here of later versions that were not read. This page is written by
`python -m thalweg.theory.errata.page docs/errata.md`; every entry is one file that runs by itself.
"""


def errata_page() -> str:
    """The page as text."""
    return "\n".join([HEAD, *(_entry(erratum()) for erratum in ERRATA)]).rstrip() + "\n"


def _entry(erratum: Erratum) -> str:
    fair = f" {erratum.fairness}" if erratum.fairness else ""
    lines = [
        f"## {erratum.id}: {erratum.place}\n",
        f"> {_plain(erratum.quote)}\n",
        f"**{erratum.judgement.capitalize()}.** {_plain(erratum.corrected + fair)}\n",
        f"Run it: `python -m {type(erratum).__module__}`\n",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Formulas as they are: an index after a bracket or a sign begins no emphasis, and its argument no link."""
    parts = re.split("(`[^`]*`)", text)
    escaped = (re.sub(r"(?<=[^\w\s])([_*])", r"\\\1", part).replace("](", "]\\(") for part in parts[::2])
    return "".join(part + code for part, code in zip(escaped, [*parts[1::2], ""], strict=True))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(errata_page())
