"""Curvature on the picture: signs in diverging colours about zero, the ratio beside them, holes where nothing held."""

from __future__ import annotations

import dataclasses

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize

from tests.plot import made
from thalweg.plot import DARK, LIGHT, Theme, interactive, static
from thalweg.plot.convexity import around_zero, panels
from thalweg.plot.footer import footer
from thalweg.records import Convexity, Surface


@pytest.fixture(scope="module")
def record() -> Surface:
    """Eigenvalues that are not symmetric in the axes; two points did not converge."""
    plain = made.surface(trajectory=False, labels=("d1", "d2"))
    a, b = np.moveaxis(plain.data["coordinates"], -1, 0)
    largest, smallest = 5 + a + 2 * b, a - 0.3 * b
    converged = np.ones(a.shape)
    converged[3, 1] = converged[12, 8] = 0
    data = {**plain.data, "largest": largest, "smallest": smallest, "converged": converged}
    data |= {f"{name}_residual": np.full(a.shape, 1e-3) for name in ("largest", "smallest")}
    data |= {"products": np.full(a.shape, 12.0), "gradient_norm": np.abs(a), "gradient_inside": 0.1 + 0.01 * a}
    return dataclasses.replace(plain, data=data, convexity=Convexity("Hessian", 1e-3, 1e-12))


def meshes(record: Surface, theme: Theme = LIGHT) -> dict[str, QuadMesh]:
    found = {}
    for axes in static.draw(record, theme).axes:
        for one in axes.collections:
            if isinstance(one, QuadMesh) and axes.get_title(loc="left"):
                found[axes.get_title(loc="left")] = one
    return found


def test_the_smallest_eigenvalue_is_white_at_zero_and_parts_the_signs(record: Surface) -> None:
    mesh = meshes(record)["smallest eigenvalue"]
    shown, norm = mesh.get_array(), mesh.norm
    assert isinstance(norm, Normalize) and norm.vmin == -norm.vmax
    signs = np.sign(record.data["smallest"]).T
    assert shown.shape == signs.shape == (9, 13)  # rows run along the second direction
    np.testing.assert_array_equal(np.sign(shown.compressed()), signs[~shown.mask])
    red, blue = mesh.cmap(0.0), mesh.cmap(1.0)
    assert red[0] > red[2] and blue[2] > blue[0]


def test_what_did_not_converge_is_a_hole(record: Surface) -> None:
    for name, mesh in meshes(record).items():
        holes = np.argwhere(mesh.get_array().mask.T).tolist()
        assert holes == ([] if "gradient" in name else [[3, 1], [12, 8]])
    assert "At 2 points they did not converge" in record.summary
    nothing = dataclasses.replace(record, data={**record.data, "converged": np.zeros((13, 9))})
    assert static.render(nothing, "png", dpi=40).startswith(b"\x89PNG")


def test_the_ratio_has_its_panel(record: Surface) -> None:
    mesh = meshes(record)["|smallest / largest| eigenvalue"]
    expected = np.abs(record.data["smallest"] / record.data["largest"]).T
    np.testing.assert_allclose(mesh.get_array().compressed(), expected[~mesh.get_array().mask])


def test_a_wide_range_is_drawn_by_logarithms_on_either_side_of_zero() -> None:
    values = np.array([[-1000.0, -1.0], [0.01, 100.0]])
    panel = around_zero("v", values)
    shades = panel.shade(values)
    assert panel.linear is not None and shades.min() == -1 and (np.diff(shades.ravel()) > 0).all()
    ticks = panel.ticks()
    assert 0 in ticks and ticks == sorted(ticks) and max(ticks) <= 1000
    assert around_zero("v", np.array([-2.0, 1.0])).linear is None
    assert around_zero("v", np.full(3, np.nan)).reach == 1


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_both_kinds_of_figure(record: Surface, theme: Theme) -> None:
    assert static.render(record, "png", theme, dpi=40).startswith(b"\x89PNG")
    found = {view["name"]: view for view in interactive.views(record, theme)}
    assert list(found)[:4] == ["Smallest eigenvalue", "Ratio", "Largest eigenvalue", "Gradient inside"]
    for view in found.values():
        go.Figure({"data": view["data"], "layout": view["layout"]})
    trace = found["Smallest eigenvalue"]["data"][0]
    assert np.shape(trace["z"]) == (9, 13) and trace["z"][1][3] is None
    assert trace["zmin"] == -trace["zmax"] and trace["customdata"][2][4][3] == pytest.approx(
        record.data["smallest"][4, 2]
    )
    assert len(panels(record)) == 4


def test_residuals_and_cost_are_written_under_it(record: Surface) -> None:
    said = "\n".join(footer(record))
    assert "within their residuals, at most 0.001" in said and "1,404 products" in said
