"""Functions of the parameters that change sign between two points, with the least F where they vanish."""
