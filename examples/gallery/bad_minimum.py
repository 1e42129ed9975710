"""The bad local minimum of a single neuron, and on which side of it one may leave."""

import torch

import thalweg as tw

VIEW = ("relief", "contours")


def record(steps=81):
    neuron = tw.zoo.single_neuron()  # (1 - v phi(w))^2 with phi(z) = -(z - 1)^2/8
    places = {"bad": (1.0, 1.0), "saddle": (-1.0, 1.0), "global": (-2.0, 3.0)}
    points = [neuron.point(torch.tensor(at).double(), name) for name, at in places.items()]
    return {"(1 − v φ(w))²": tw.slices.Plane(steps=steps, margin=0.3)(neuron, *points)}


if __name__ == "__main__":
    tw.plot.save(record(), "bad_minimum.png", view=VIEW)
