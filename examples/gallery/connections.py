"""Six ways from one network to another on one budget: how high each rises, and how long it is."""

import thalweg as tw


def record(hidden=(32,), budget=1500, training=300):
    risk = tw.zoo.digits(hidden=hidden, test=297)
    descent = tw.descent.Descent(tw.descent.Adam(lr=5e-3), steps=training, batch=128)
    a, b = (descent(risk, tw.zoo.digits(seed=s, hidden=hidden).initial, rng=s).final[0] for s in (0, 1))
    methods = ("straight", "weight_matching", "bezier", "polychain", "autoneb", "sparsify_copy_swap")
    return tw.paths.connect(risk, a, b, method=methods, budget=budget)


if __name__ == "__main__":
    tw.plot.save(record(), "connections.png")
