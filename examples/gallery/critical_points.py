"""A poor local minimum, a strict saddle, and a saddle without negative curvature."""

import torch

import thalweg as tw

VIEW = "relief"


def record(steps=61):
    wells = tw.Function(lambda x: torch.sin(2 * x[0]) ** 2 / 2 - x[0] ** 2 / 8 + x[1] ** 2 / 2, 2)
    saddle = tw.zoo.strict_saddle(2, gamma=1.0, quartic=0.25)
    found = {}
    for objective, width in ((wells, 2.0), (saddle, 2.0), (tw.zoo.cubic_saddle(), 1.2)):
        centre = objective.point(torch.zeros(2, dtype=torch.float64), "centre")
        kind = tw.critical.classify(objective, centre).status.name
        found[kind.lower().replace("_", " ")] = tw.slices.Plane(steps=steps, half_width=width)(objective, centre)
    return found


if __name__ == "__main__":
    tw.plot.save(record(), "critical_points.png", view=VIEW)
