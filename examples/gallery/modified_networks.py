"""Networks with an exponential neuron, the way out of a bad minimum that it opens, and the price: paths to infinity."""

import thalweg as tw
from thalweg.reproductions import REPRODUCTIONS


def record(grid=61, steps=4000):
    return REPRODUCTIONS["modified_landscapes"](grid=grid, steps=steps)()


if __name__ == "__main__":
    tw.plot.save(record(), "modified_networks.png")
