import numpy as np
import pytest

from thalweg.critical import tensor_counts
from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.reproductions.dauphin_2014 import _ranked


def test_ends_that_are_not_critical_are_no_evidence() -> None:
    """After two steps no end is critical: then nothing is compared, whatever the curve over all ends looks like."""
    record = build("dauphin_2014", hidden=2, rows=60, starts=4, steps=2, dimensions=3)()
    rows = {row.claim: row for row in record.rows}
    for loss in ("cross_entropy", "squared"):
        assert rows[f"critical_{loss}"].ours == 0 and rows[f"correlation_{loss}"].agrees is None
        assert record.data[f"{loss}.loss"].size == 0 and record.data[f"{loss}.all_loss"].size == 4
        assert (np.diff(record.data[f"{loss}.all_loss"]) >= 0).all()
    known = [tensor_counts(d) for d in (2, 3)]
    assert record.data["tensor.minima"].tolist() == [k[0] for k in known]
    assert (record.data["spin.minima"] >= 1).all() and rows["saddles_per_minimum"].ours >= 1
    assert all("unpublished" in row.source for name, row in rows.items() if name.startswith("lowest_saddle"))


def test_rank_correlations_have_intervals_and_constants_have_none() -> None:
    x = np.arange(30.0)
    up, about = _ranked(x, x**3)
    assert up == pytest.approx(1) and about is not None and about[0] > 0.99
    noise = np.random.default_rng(0).normal(size=(200, 2, 30))
    held = [interval for a, b in noise if (interval := _ranked(a, b)[1]) is not None]
    assert 0.9 <= np.mean([low <= 0 <= high for low, high in held]) <= 1
    assert _ranked(x, np.ones(30))[1] is None and _ranked(x[:3], x[:3])[1] is None


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="starts=3"):
        build("dauphin_2014", starts=3)
    with pytest.raises(InputError, match="method='newton'"):
        build("dauphin_2014", method="newton")
