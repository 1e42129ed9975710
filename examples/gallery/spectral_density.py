"""All eigenvalues of a trained network's Hessian from a few products with vectors, between proved bounds."""

import thalweg as tw


def record(hidden=(32, 32), probes=8, steps=60):
    risk = tw.zoo.digits(hidden=hidden)
    run = tw.descent.Descent(tw.descent.Adam(lr=3e-3), steps=300, batch=128)(risk, risk.initial, rng=0)
    return tw.curvature.Density(probes=probes, steps=steps)(risk, run.final[0])


if __name__ == "__main__":
    tw.plot.save(record(), "spectral_density.png")
