"""What does the surface look like? Lines and planes, their directions, and how those are normalised."""

from thalweg.slices.line import Line as Line
from thalweg.slices.plane import Plane as Plane
from thalweg.slices.random import RandomDirections as RandomDirections
from thalweg.slices.trajectory_plane import TrajectoryPlane as TrajectoryPlane
