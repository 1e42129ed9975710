"""A narrow slice of the reproduction."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build


def test_rows_are_those_of_the_measures_kept() -> None:
    settings = {"hidden": (4,), "rows": 300, "small": 15, "measures": ("keskar", "trace"), "draws": 2}
    record = build("keskar_2017", epochs=2, seeds=3, **settings)()
    rows = {row.claim: row for row in record.rows}
    for matched in ("epochs", "updates", "loss"):
        small, large = (record.data[f"{matched}.{name}.keskar"] for name in ("small", "large"))
        assert rows[f"keskar_{matched}"].ours == pytest.approx(np.log10(large / small).mean())
        assert np.ptp(small) > 0
    assert rows["train_epochs"].ours > 0 and rows["train_updates"].ours < rows["train_epochs"].ours
    assert abs(rows["train_loss"].ours) < abs(rows["train_epochs"].ours)
    assert np.array_equal(record.data["updates.small.keskar"], record.data["epochs.small.keskar"])


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="'keskar' is the paper's"):
        build("keskar_2017", measures=("trace",))
    with pytest.raises(InputError, match="a tenth of the rows is 30"):
        build("keskar_2017", rows=300, small=40)()
