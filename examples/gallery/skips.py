"""Surfaces of residual networks, of the same without skips, and of dense ones, as they get deeper."""

import thalweg as tw
from thalweg.reproductions import REPRODUCTIONS


def record(depths=(8, 20), grid=11, steps=40, seeds=1):
    method = REPRODUCTIONS["li_2018"](parts=("depth",), depths=depths, grid=grid, steps=steps, seeds=seeds)
    return method(rng=0)


if __name__ == "__main__":
    tw.plot.save(record(), "skips.png")
