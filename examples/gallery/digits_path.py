"""A network's training path on the surface it walked over, 2,410 parameters seen through two of their directions."""

import thalweg as tw

VIEW = "relief"


def record(steps=61, training=400):
    risk = tw.zoo.digits()  # 1,797 images of digits, a 64-32-32-10 network
    adam = tw.descent.Descent(tw.descent.Adam(lr=3e-3), steps=training, batch=128)
    run = adam(risk, risk.initial, rng=0)
    return tw.slices.TrajectoryPlane(steps=steps)(risk, run)


if __name__ == "__main__":
    tw.plot.save(record(), "digits_path.png", view=VIEW)
