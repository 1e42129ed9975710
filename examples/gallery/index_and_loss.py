"""Index against loss at critical points of a linear autoencoder, each of which was found and judged."""

import thalweg as tw


def record(inputs=8, rank=3, starts=60, steps=60):
    risk = tw.zoo.linear_autoencoder(inputs, rank)
    walk = tw.descent.Descent(tw.descent.GradientDescent(0.05), steps=400, every=2)(risk, risk.initial)
    begin = tw.critical.uniform_in_loss(walk, starts, noise=0.1)
    return tw.critical.Search("newton_mr", steps=steps)(risk, begin)


if __name__ == "__main__":
    tw.plot.save(record(), "index_and_loss.png")
