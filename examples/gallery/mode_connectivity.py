"""The plane through three independent networks, and the plane of a Bézier curve that joins two of them."""

import torch

import thalweg as tw

VIEW = "contours"


def record(steps=31, training=300, fit=800):
    risk = tw.zoo.digits()
    descent = tw.descent.Descent(tw.descent.Adam(lr=3e-3), steps=training, batch=128)
    ends = [descent(risk, tw.zoo.digits(seed=s).initial, rng=s).final[0] for s in range(3)]
    points = [risk.point(theta, f"network {i + 1}") for i, theta in enumerate(ends)]
    fitted = tw.paths.CurveFit("bezier", steps=fit, batch=128)(risk, *ends[:2])
    curve = tw.paths.Bezier(torch.tensor(fitted.data["knots"])).theta(torch.linspace(0, 1, 41))
    joined = tw.slices.TrajectoryPlane(steps=steps)(risk, curve)
    return {"through three networks": tw.slices.Plane(steps=steps)(risk, *points), "through two and a bend": joined}


if __name__ == "__main__":
    tw.plot.save(record(), "mode_connectivity.png", view=VIEW)
