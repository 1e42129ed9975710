"""Connecting two solutions: curves, searches for low paths, alignment, constructions and certificates."""

from thalweg.paths.align import ActivationMatching as ActivationMatching
from thalweg.paths.align import Symmetries as Symmetries
from thalweg.paths.align import WeightMatching as WeightMatching
from thalweg.paths.align import align as align
from thalweg.paths.align import symmetries as symmetries
from thalweg.paths.auto_neb import AutoNEB as AutoNEB
from thalweg.paths.barrier import Barrier as Barrier
from thalweg.paths.certificate import Certificate as Certificate
from thalweg.paths.certificate import certify as certify
from thalweg.paths.connect import METHODS as METHODS
from thalweg.paths.connect import Connect as Connect
from thalweg.paths.connect import connect as connect
from thalweg.paths.construct.deep_linear import DeepLinear as DeepLinear
from thalweg.paths.construct.dropout import DropoutPath as DropoutPath
from thalweg.paths.construct.lifted import Lifted as Lifted
from thalweg.paths.construct.sparsify import SparsifyCopySwap as SparsifyCopySwap
from thalweg.paths.curve import Bezier as Bezier
from thalweg.paths.curve import Curve as Curve
from thalweg.paths.curve import Polyline as Polyline
from thalweg.paths.curve import load as load
from thalweg.paths.curve import segment as segment
from thalweg.paths.elastic_band import ElasticBand as ElasticBand
from thalweg.paths.fit import CurveFit as CurveFit
from thalweg.paths.string_search import StringSearch as StringSearch
from thalweg.paths.top import Top as Top
