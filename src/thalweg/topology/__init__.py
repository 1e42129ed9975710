"""Where are the valleys, and are they more than noise? Sublevel sets of grids and graphs, with NumPy alone."""

from thalweg.topology.basins import Basins as Basins
from thalweg.topology.graph import Graph as Graph
from thalweg.topology.lattice import Lattice as Lattice
from thalweg.topology.merge_tree import MergeTree as MergeTree
from thalweg.topology.minimax import MinimaxPath as MinimaxPath
from thalweg.topology.minimax import minimax as minimax
from thalweg.topology.noise import margins as margins
from thalweg.topology.noise import simultaneous as simultaneous
from thalweg.topology.sublevel import sublevel as sublevel
from thalweg.topology.sublevel import sublevel_graph as sublevel_graph
