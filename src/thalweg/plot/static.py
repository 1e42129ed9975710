"""Matplotlib figures from records: what a paper prints, with what must be known written on the picture."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from thalweg.errors import InputError
from thalweg.plot.footer import footer as footer
from thalweg.plot.static_alignment import alignment as alignment
from thalweg.plot.static_along import along_run as along_run
from thalweg.plot.static_along import edge_of_stability as edge_of_stability
from thalweg.plot.static_bands import comparison as comparison
from thalweg.plot.static_beside import beside as beside
from thalweg.plot.static_certificate import certificate as certificate
from thalweg.plot.static_complex import complex_of_minima as complex_of_minima
from thalweg.plot.static_curvature import census as census
from thalweg.plot.static_curvature import classification as classification
from thalweg.plot.static_curvature import count as count
from thalweg.plot.static_curvature import density as density
from thalweg.plot.static_curvature import finite_scale as finite_scale
from thalweg.plot.static_curvature import outliers as outliers
from thalweg.plot.static_curvature import sharpness as sharpness
from thalweg.plot.static_curves import profile as profile
from thalweg.plot.static_curves import run as run
from thalweg.plot.static_curves import spectrum as spectrum
from thalweg.plot.static_ensembles import ensembles as ensembles
from thalweg.plot.static_ensembles import path_search as path_search
from thalweg.plot.static_escape import race as race
from thalweg.plot.static_frame import RC
from thalweg.plot.static_graphs import minima_graph as minima_graph
from thalweg.plot.static_instability import instability as instability
from thalweg.plot.static_kernels import kernel_drift as kernel_drift
from thalweg.plot.static_kernels import linear_training as linear_training
from thalweg.plot.static_kernels import tangent_kernel as tangent_kernel
from thalweg.plot.static_paths import connection as connection
from thalweg.plot.static_paths import path as path_figure
from thalweg.plot.static_plateaus import descent_basins as descent_basins
from thalweg.plot.static_plateaus import error_terms as error_terms
from thalweg.plot.static_plateaus import funnel as funnel
from thalweg.plot.static_plateaus import plateaus as plateaus
from thalweg.plot.static_rays import rays as rays
from thalweg.plot.static_reproduction import reproduction as reproduction
from thalweg.plot.static_simplex import simplex as simplex
from thalweg.plot.static_surface import surface as surface
from thalweg.plot.static_topology import topology as topology
from thalweg.plot.style import LIGHT, Theme
from thalweg.records import (
    Alignment,
    Census,
    Certificate,
    Classification,
    Comparison,
    Connection,
    Count,
    FiniteScale,
    Outliers,
    Profile,
    Race,
    Rays,
    Record,
    Reproduction,
    Run,
    SharpnessTable,
    SimplexSurface,
    SpectralDensity,
    Spectrum,
    Surface,
    Topology,
)
from thalweg.records import Path as PathRecord
from thalweg.records.complexes import ComplexOfMinima
from thalweg.records.ensembles import Ensembles, PathSearch
from thalweg.records.error_terms import ErrorTerms
from thalweg.records.funnels import DescentBasins, Funnel
from thalweg.records.graphs import MinimaGraph
from thalweg.records.instability import Instability
from thalweg.records.kernels import KernelDrift, LinearTraining, TangentKernel
from thalweg.records.plateaus import Plateaus
from thalweg.records.trajectories import AlongRun, EdgeOfStability

FIGURES: dict[str, Callable[..., Figure]] = {
    Surface.record_type: surface,
    Profile.record_type: profile,
    Comparison.record_type: comparison,
    Spectrum.record_type: spectrum,
    Run.record_type: run,
    Topology.record_type: topology,
    PathRecord.record_type: path_figure,
    Connection.record_type: connection,
    Alignment.record_type: alignment,
    MinimaGraph.record_type: minima_graph,
    ComplexOfMinima.record_type: complex_of_minima,
    Instability.record_type: instability,
    Ensembles.record_type: ensembles,
    PathSearch.record_type: path_search,
    Classification.record_type: classification,
    Certificate.record_type: certificate,
    SpectralDensity.record_type: density,
    FiniteScale.record_type: finite_scale,
    SharpnessTable.record_type: sharpness,
    Outliers.record_type: outliers,
    TangentKernel.record_type: tangent_kernel,
    KernelDrift.record_type: kernel_drift,
    LinearTraining.record_type: linear_training,
    AlongRun.record_type: along_run,
    EdgeOfStability.record_type: edge_of_stability,
    Plateaus.record_type: plateaus,
    ErrorTerms.record_type: error_terms,
    Funnel.record_type: funnel,
    DescentBasins.record_type: descent_basins,
    Census.record_type: census,
    Count.record_type: count,
    SimplexSurface.record_type: simplex,
    Race.record_type: race,
    Rays.record_type: rays,
    Reproduction.record_type: reproduction,
}
"""The figure of each kind of record, as ``figure(record, theme)``."""

# Without dates and random ids the same record gives the same file.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


Drawn = Record | Mapping[str, Surface]
"""One record, or surfaces by the names under which they stand beside each other."""


def draw(record: Drawn, theme: Theme = LIGHT, view: str | Sequence[str] | None = None) -> Figure:
    """The figure of any record; or that of surfaces beside each other, on one scale.

    ``view`` is "contours", "relief" or both, and draws surfaces and their trajectories alone.

    Raises
    ------
    InputError
        If there is none for its kind, or no such view of it.
    """
    if isinstance(record, Mapping) or view is not None:
        surfaces = record if isinstance(record, Mapping) else {"": record}
        with mpl.rc_context(RC):
            return beside(surfaces, theme, view or "contours")  # type: ignore[arg-type]
    if record.record_type not in FIGURES:
        raise InputError(f"no figure is drawn for a {record.record_type} record: there are {', '.join(FIGURES)}")
    with mpl.rc_context(RC):
        return FIGURES[record.record_type](record, theme)


def render(
    record: Drawn, ending: str, theme: Theme = LIGHT, *, dpi: int = 160, view: str | Sequence[str] | None = None
) -> bytes:
    """The figure of a record as the bytes of a png, pdf or svg file, the same for the same record."""
    figure, file = draw(record, theme, view), io.BytesIO()
    with mpl.rc_context(RC), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes, which the reader sees
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=ending, dpi=dpi, facecolor=theme.paper, metadata=_METADATA[ending])
    return file.getvalue()


def save(record: Drawn, path: str | Path, theme: Theme = LIGHT, *, view: str | Sequence[str] | None = None) -> None:
    """Write the figure that :func:`draw` draws; the ending decides: .png, .pdf or .svg.

    Raises
    ------
    InputError
        If the ending is another, or there is no such figure or view.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in _METADATA:
        raise InputError(f"{path} ends in {ending or 'nothing'}: a figure is written as .{', .'.join(_METADATA)}")
    Path(path).write_bytes(render(record, ending, theme, view=view))
