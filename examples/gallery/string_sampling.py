"""Dynamic string sampling: beads are added where the straight segments rise, and trained, until none rises."""

import torch

import thalweg as tw


def record(depth=8, starts=12, max_steps=2000):
    risk = tw.zoo.polynomial(coefficients=(0, 3, -10, 8))  # a 1-4-4-1 network that learns a cubic
    thetas = torch.stack([tw.zoo.polynomial(seed=seed).initial.theta for seed in range(starts)])
    run = tw.descent.Descent(tw.descent.Adam(lr=1e-2), steps=1500)(risk, thetas)
    best = run.data["loss"][-1].argsort()[:2]
    return tw.paths.StringSearch(level=0.01, depth=depth, max_steps=max_steps)(risk, *run.final[best])


if __name__ == "__main__":
    tw.plot.save(record(), "string_sampling.png")
