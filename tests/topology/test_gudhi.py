"""Births and deaths equal those of gudhi's cubical complexes."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.topology import sublevel

gudhi = pytest.importorskip("gudhi", reason="gudhi is not installed: it comes with the extra thalweg[topology]")


@pytest.mark.parametrize("shape", [(40,), (25, 31), (9, 8, 10)])
@pytest.mark.parametrize("ties", [False, True])
def test_births_and_deaths_equal_gudhis(shape: tuple[int, ...], ties: bool) -> None:
    rng = np.random.default_rng(len(shape))
    values = rng.integers(0, 9, shape).astype(float) if ties else rng.standard_normal(shape)
    for keyword, connectivity in (("vertices", 2 * len(shape)), ("top_dimensional_cells", 3 ** len(shape) - 1)):
        reference = gudhi.CubicalComplex(**{keyword: values})
        reference.compute_persistence(min_persistence=0.0)
        expected = reference.persistence_intervals_in_dimension(0)
        tree = sublevel(values, connectivity)
        found = np.stack([tree.births, tree.deaths], axis=1)
        np.testing.assert_array_equal(sorted(found.tolist()), sorted(expected.tolist()))
