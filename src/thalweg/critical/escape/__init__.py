"""Optimisers raced from saddles and bad minima: where they begin, what counts as leaving, how long it takes."""

from thalweg.critical.escape.centre import Centre as Centre
from thalweg.critical.escape.presets import PRESETS as PRESETS
from thalweg.critical.escape.race import Race as Race
from thalweg.critical.escape.starts import STARTS as STARTS
