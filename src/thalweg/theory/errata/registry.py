"""Every erratum, in order. Apart from the package itself, so that each entry's file can be run alone."""

from __future__ import annotations

from thalweg.theory.errata.e01_linear_sublevel_sets import LinearSublevelSets
from thalweg.theory.errata.e02_pseudoinverse import Pseudoinverse
from thalweg.theory.errata.e03_connected_sublevel_sets import ConnectedSublevelSets
from thalweg.theory.errata.e04_rectified_sublevel_sets import RectifiedSublevelSets
from thalweg.theory.errata.e05_rectified_covariance import RectifiedCovariance
from thalweg.theory.errata.e06_exponential_neuron import ExponentialNeuron
from thalweg.theory.errata.e07_requ_regulariser import RequRegulariser
from thalweg.theory.errata.e08_dimension_of_inputs import DimensionOfInputs
from thalweg.theory.errata.e09_direction_of_a_line import DirectionOfALine
from thalweg.theory.errata.e10_planes_of_minima import PlanesOfMinima
from thalweg.theory.errata.e11_single_neuron import SingleNeuron
from thalweg.theory.errata.e12_full_rank import FullRank
from thalweg.theory.errata.e13_signs_of_eigenvalues import SignsOfEigenvalues
from thalweg.theory.errata.e14_degenerate_saddles import DegenerateSaddles
from thalweg.theory.errata.e15_paths_out_of_a_valley import PathsOutOfAValley
from thalweg.theory.errata.e16_valleys_and_basins import ValleysAndBasins
from thalweg.theory.errata.e17_ultra_wide_sublevel_sets import UltraWideSublevelSets
from thalweg.theory.errata.e18_convex_in_each_layer import ConvexInEachLayer
from thalweg.theory.errata.e19_kramers_law import KramersLaw
from thalweg.theory.errata.e20_bayes_as_softmax import BayesAsSoftmax
from thalweg.theory.errata.e21_exponential_time import ExponentialTime
from thalweg.theory.errata.e22_what_is_perturbed import WhatIsPerturbed
from thalweg.theory.errata.e23_first_bad_half import FirstBadHalf
from thalweg.theory.errata.e24_disconnection import Disconnection
from thalweg.theory.errata.e25_index import Index
from thalweg.theory.errata.erratum import Erratum

ERRATA: tuple[type[Erratum], ...] = (
    LinearSublevelSets,
    Pseudoinverse,
    ConnectedSublevelSets,
    RectifiedSublevelSets,
    RectifiedCovariance,
    ExponentialNeuron,
    RequRegulariser,
    DimensionOfInputs,
    DirectionOfALine,
    PlanesOfMinima,
    SingleNeuron,
    FullRank,
    SignsOfEigenvalues,
    DegenerateSaddles,
    PathsOutOfAValley,
    ValleysAndBasins,
    UltraWideSublevelSets,
    ConvexInEachLayer,
    KramersLaw,
    BayesAsSoftmax,
    ExponentialTime,
    WhatIsPerturbed,
    FirstBadHalf,
    Disconnection,
    Index,
)
"""All of them."""
