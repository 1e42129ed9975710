"""The disconnectivity graph of several minima: at which level of F which of them hold together."""

import torch

import thalweg as tw


def record(minima=7, most=14, training=1500, scale=0.02):
    risk = tw.zoo.polynomial(coefficients=(0, 3, -10, 8), widths=(1, 4, 1), activation="tanh", rows=40)
    starts = torch.randn(minima, risk.space.size, generator=torch.Generator().manual_seed(0)).double()
    ends = tw.descent.Descent(tw.descent.Adam(lr=2e-2), steps=training)(risk, starts).final
    return tw.paths.MinimaGraph(connector=tw.paths.AutoNEB(scale=scale), most=most)(risk, *ends)


if __name__ == "__main__":
    tw.plot.save(record(), "disconnectivity.png")
