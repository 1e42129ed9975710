import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build


def test_what_is_found_has_the_loss_and_index_of_its_class() -> None:
    record = build("frye_2021", size=4, hidden=1, seeds=4, share=0.04)()
    rows = {row.claim: row for row in record.rows}
    assert rows["theory"].agrees and rows["theory"].ours == 1
    assert rows["success_newton_mr"].published == 0.8 and rows["success_newton_mr"].agrees is None  # fewer iterations
    found = record.data["newton_mr.index"]
    assert found.size == record.data["newton_mr.reached"].sum() > 0
    assert np.isin(found * 8, range(5)).all()
    with pytest.raises(InputError, match="share=0"):
        build("frye_2021", share=0)
    with pytest.raises(InputError, match="methods='newton'"):
        build("frye_2021", methods=("newton",))
