"""How curved is it here? Extremal eigenvalues with residuals."""

from thalweg.curvature.lanczos import Lanczos as Lanczos
