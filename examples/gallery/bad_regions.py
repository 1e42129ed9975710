"""Where gradient descent ends from every cell of a landscape with rare bad regions, and for networks."""

import thalweg as tw
from thalweg.reproductions import REPRODUCTIONS


def record(cells=31, steps=300):
    return REPRODUCTIONS["figure_8"](cells=cells, steps=steps)()


if __name__ == "__main__":
    tw.plot.save(record(), "bad_regions.png")
