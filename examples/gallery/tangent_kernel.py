"""A wide network beside its linear expansion, and beside what the tangent kernel at the start predicts."""

import torch
from torch import nn

import thalweg as tw


def record(width=256, steps=300):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1)).double()
    x = torch.randn(40, 3).double()
    risk = tw.EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1].sin() * x[:, 1:2]))
    return tw.descent.LinearisedTraining(steps=steps)(risk, risk.initial)


if __name__ == "__main__":
    tw.plot.save(record(), "tangent_kernel.png")
