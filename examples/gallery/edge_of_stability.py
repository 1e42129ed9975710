"""Sharpness rises along gradient descent until it hovers at 2 over the rate."""

import torch
from torch import nn

import thalweg as tw


def record(steps=3000, points=40):
    torch.manual_seed(1)
    x = torch.linspace(-1, 1, 24, dtype=torch.float64)[:, None]
    model = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1)).double()
    risk = tw.EmpiricalRisk(model, nn.MSELoss(), (x, torch.sin(4 * x)))
    run = tw.descent.Descent(tw.descent.GradientDescent(0.2), steps=steps)(risk, risk.initial)
    return tw.trajectories.Edge(points=points)(risk, run)


if __name__ == "__main__":
    tw.plot.save(record(), "edge_of_stability.png")
