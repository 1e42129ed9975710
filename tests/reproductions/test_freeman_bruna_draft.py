"""The draft's setting: polynomials into [0, 1], three losses that a perfect fit brings to 0, both risks of a string."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.plot import DARK, LIGHT, static
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.freeman_bruna_draft import LOSSES, FreemanBrunaDraft, _constant

TINY = dict(losses=["logistic"], shares=[0.8], polynomials=1, pairs=2, rows=20, fresh=200, max_steps=600)


def test_a_slice_of_the_setting_runs_and_compares_both_risks() -> None:
    found = build("freeman_bruna_draft", **TINY)(rng=0)
    by = {row.claim: row.ours for row in found.rows}
    assert found.status is ReproductionStatus.UNCOMPARED
    assert by["connected@logistic 0.8"] > 0
    assert by["beads@logistic 0.8"] >= 3 and by["length@logistic 0.8"] >= 1
    tops = np.concatenate([found.data[f"case{k}.F_e"] for k in range(1)])
    fresh = np.concatenate([found.data[f"case{k}.F_o"] for k in range(1)])
    assert len(tops) == len(fresh) and (tops <= 1.1 * (1 + 1e-5)).all()  # what the search accepts
    assert not np.allclose(tops, fresh, rtol=1e-3)  # and the fresh rows are others
    for theme in (LIGHT, DARK):
        assert static.render(found, "png", theme, dpi=40).startswith(b"\x89PNG")


def test_polynomials_map_the_unit_interval_into_itself_and_differ() -> None:
    setting = FreemanBrunaDraft(rows=500)
    drawn = [setting.subject(0, "squared", k) for k in range(8)]
    for risk in drawn:
        x, y = risk.table.inputs[:, 0].double().numpy(), risk.table.targets[:, 0].double().numpy()
        assert y.min() >= 0 and y.max() <= 1 and y.std() > 0
        fit = np.polynomial.Polynomial.fit(x, y, 5)
        assert np.abs(fit(x) - y).max() < 1e-5  # it is a polynomial of degree 5 …
        assert risk.test is not None and risk.test.row_count == setting.fresh
        z = risk.test.table.inputs[:, 0].double().numpy()
        assert np.abs(fit(z) - risk.test.table.targets[:, 0].double().numpy()).max() < 1e-4  # … and the same one
    assert len({float(risk.table.targets.sum()) for risk in drawn}) == 8


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_perfect_fit_loses_nothing_and_the_constant_the_least_of_constants(loss: str) -> None:
    t = torch.linspace(0.01, 0.99, 31, dtype=torch.float64)
    perfect = torch.logit(t) if loss == "logistic" else t
    assert float(LOSSES[loss](perfect, t).abs().max()) < 1e-12
    assert float(LOSSES[loss](perfect + 0.3, t).min()) > 1e-4
    risk = FreemanBrunaDraft().subject(0, loss)
    targets = risk.table.targets.double()
    shift = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    scanned = min(float(LOSSES[loss](torch.full_like(targets, s), targets).mean()) for s in shift.tolist())
    assert _constant(risk) == pytest.approx(scanned, rel=2e-3) and _constant(risk) <= scanned * (1 + 1e-9)


@pytest.mark.parametrize(
    "options", [dict(losses=["hinge"]), dict(losses=[]), dict(shares=[1.5]), dict(pairs=1), dict(rows=2)]
)
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match=next(iter(options)).replace("losses", "losses|shares")):
        build("freeman_bruna_draft", **options)
