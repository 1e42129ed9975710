"""Plateaus of bad minima, with and without a basin under them."""

import thalweg as tw
from thalweg.reproductions import REPRODUCTIONS


def record(points=601, steps=129):
    return REPRODUCTIONS["valleys_and_basins"](points=points, steps=steps)()


if __name__ == "__main__":
    tw.plot.save(record(), "valleys_and_basins.png")
