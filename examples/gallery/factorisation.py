"""(1 - vw)^2, whose global minima are two curves."""

import torch

import thalweg as tw

VIEW = ("relief", "contours")


def record(steps=81):
    objective = tw.zoo.scalar_factorisation()
    centre = objective.point(torch.zeros(2), "saddle")
    return {"(1 − vw)²": tw.slices.Plane(steps=steps, half_width=2.0)(objective, centre)}


if __name__ == "__main__":
    tw.plot.save(record(), "factorisation.png", view=VIEW)
