import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build


def test_the_gap_comes_after_one_less_than_the_classes() -> None:
    record = build("outliers", classes=(3, 5), hidden=12, rows=300, steps=20)()
    assert [row.ours for row in record.rows] == [2, 4] and all(row.agrees for row in record.rows)
    assert record.data["5.class_means"].shape == (5,) and len(record.notes) == 2
    with pytest.raises(InputError, match=r"classes=\(2,\)"):
        build("outliers", classes=(2,))
