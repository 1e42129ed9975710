"""A rule, a curve, an objective and a claim of one's own."""
