"""What does the surface look like? Lines and planes, their directions, and how those are normalised."""

from thalweg.slices.compare import compare as compare
from thalweg.slices.curvature_map import CurvatureMap as CurvatureMap
from thalweg.slices.eigen import eigen_directions as eigen_directions
from thalweg.slices.fill import Dense as Dense
from thalweg.slices.line import Line as Line
from thalweg.slices.pca import principal as principal
from thalweg.slices.plane import Plane as Plane
from thalweg.slices.random import RandomDirections as RandomDirections
from thalweg.slices.range import Range as Range
from thalweg.slices.range import shared_range as shared_range
from thalweg.slices.recipes import directions_of as directions_of
from thalweg.slices.refine import Refine as Refine
from thalweg.slices.sample import Sample as Sample
from thalweg.slices.saved import load_directions as load_directions
from thalweg.slices.saved import save_directions as save_directions
from thalweg.slices.simplex import Simplex as Simplex
from thalweg.slices.trajectory_plane import TrajectoryPlane as TrajectoryPlane
from thalweg.slices.volume import Volume as Volume
