"""Curvature: spectra, densities and traces of the Hessian and its relatives, with error bars."""

from thalweg.curvature.adapters import from_curvlinops as from_curvlinops
from thalweg.curvature.adapters import to_curvlinops as to_curvlinops
from thalweg.curvature.density import Density as Density
from thalweg.curvature.finite import FiniteScale as FiniteScale
from thalweg.curvature.lanczos import Lanczos as Lanczos
from thalweg.curvature.operator import Operator as Operator
from thalweg.curvature.outliers import Outliers as Outliers
from thalweg.curvature.sharpness import Sharpness as Sharpness
from thalweg.curvature.trace import Trace as Trace
