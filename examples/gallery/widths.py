"""Surfaces of residual networks of one, two, four and eight times the width."""

import thalweg as tw
from thalweg.reproductions import REPRODUCTIONS


def record(widths=(1, 2, 4, 8), grid=11, steps=40, seeds=1):
    method = REPRODUCTIONS["li_2018"](parts=("width",), widths=widths, grid=grid, steps=steps, seeds=seeds)
    return method(rng=0)


if __name__ == "__main__":
    tw.plot.save(record(), "widths.png")
