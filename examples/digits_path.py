"""The picture of the README: a digits network's training path on the surface it walked over."""

import sys

import thalweg as tw

risk = tw.zoo.digits()
run = tw.descent.Descent(tw.descent.Adam(lr=3e-3), steps=400, batch=128)(risk, risk.initial, rng=0)
surface = tw.slices.TrajectoryPlane(steps=41)(risk, run.data["thetas"][:, 0])
tw.plot.save(surface, sys.argv[1] if len(sys.argv) > 1 else "digits-path.png")
print(surface.summary)
