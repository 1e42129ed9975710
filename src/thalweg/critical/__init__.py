"""Critical points: what kind a point is, its index with a guarantee, and how to find others."""

from thalweg.critical.census import Census as Census
from thalweg.critical.certify import Certify as Certify
from thalweg.critical.certify import certify as certify
from thalweg.critical.classify import Classify as Classify
from thalweg.critical.classify import classify as classify
from thalweg.critical.cnc import Cnc as Cnc
from thalweg.critical.cnc import cnc_ratio as cnc_ratio
from thalweg.critical.count import Count as Count
from thalweg.critical.count import EndToEnd as EndToEnd
from thalweg.critical.count import linear_counts as linear_counts
from thalweg.critical.count import spin_bound as spin_bound
from thalweg.critical.count import spin_counts as spin_counts
from thalweg.critical.count import tensor_counts as tensor_counts
from thalweg.critical.escape import Race as Race
from thalweg.critical.find import METHODS as METHODS
from thalweg.critical.find import Search as Search
from thalweg.critical.inertia import Inertia as Inertia
from thalweg.critical.inertia import inertia as inertia
from thalweg.critical.mode import Aimed as Aimed
from thalweg.critical.mode import MinimumMode as MinimumMode
from thalweg.critical.mode import both_sides as both_sides
from thalweg.critical.search import SEARCHES as SEARCHES
from thalweg.critical.search import DampedNewton as DampedNewton
from thalweg.critical.search import GradientNorm as GradientNorm
from thalweg.critical.search import NewtonMR as NewtonMR
from thalweg.critical.starts import uniform_in_loss as uniform_in_loss
