"""Every erratum, in order. Apart from the package itself, so that each entry's file can be run alone."""

from __future__ import annotations

from thalweg.theory.errata.e01_linear_sublevel_sets import LinearSublevelSets
from thalweg.theory.errata.e02_pseudoinverse import Pseudoinverse
from thalweg.theory.errata.erratum import Erratum

ERRATA: tuple[type[Erratum], ...] = (
    LinearSublevelSets,
    Pseudoinverse,
)
"""All of them."""
