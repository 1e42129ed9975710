"""Optimisers race away from a saddle of a matrix factorisation, and what the gap does to them."""

import thalweg as tw
from thalweg.critical.escape.race import Ground, Race


def record(gaps=(0.1, 0.3, 0.9), starts=16):
    rules = ("gradient_descent", "momentum", "adam", "perturbed", "saddle_free", "cubic")
    grounds = [Ground(tw.zoo.matrix_factorisation(8, gap=g), f"gap {g}", gap=g) for g in gaps]
    return Race(rules, starts=starts, start="near", radius=0.01)(*grounds)


if __name__ == "__main__":
    tw.plot.save(record(), "escape_race.png")
