"""One surface, two starts, two ends: gradient descent at a global minimum, and on a plateau that is a bad one."""

import torch

import thalweg as tw

VIEW = ("relief", "contours")


def record(steps=61):
    neuron = tw.zoo.single_neuron()  # (1 - v phi(w))^2 over v and w
    descent = tw.descent.Descent(tw.descent.GradientDescent(lr=0.05), steps=400, every=4)
    starts = {"reaches 0": (-2.5, 0.6), "stays at 1": (2.5, -0.6)}
    runs = {name: descent(neuron, torch.tensor(start).double()) for name, start in starts.items()}
    return {"one surface, two starts": tw.slices.TrajectoryPlane(steps=steps)(neuron, runs)}


if __name__ == "__main__":
    tw.plot.save(record(), "two_trajectories.png", view=VIEW)
