"""What an answer cost, counted in passes over the full data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Passes over the full data, each for one point; parts of the data count as their share of the rows.

    forwards: evaluations of F without a gradient. backwards: gradients (each with its own forward).
    products: Hessian or Gauss–Newton vector products. rows: rows that went through the network.
    seconds: wall time.
    """

    forwards: float = 0.0
    backwards: float = 0.0
    products: float = 0.0
    rows: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f) + getattr(other, f) for f in self.__slots__))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f) - getattr(other, f) for f in self.__slots__))

    @property
    def units(self) -> float:
        """Arithmetic in full-data gradients: a forward is a third of one, a product two.

        A backward pass costs about two forwards, and a product by double backward runs through the
        gradient's graph once more in each direction (Griewank & Walther 2008, §4.5). This counts
        operations; ``seconds`` counts the clock.
        """
        return self.forwards / 3 + self.backwards + 2 * self.products

    def __str__(self) -> str:
        parts = [
            f"{value:,.6g} {name[:-1] if value == 1 else name}"
            for name, value in (
                ("forwards", self.forwards),
                ("gradients", self.backwards),
                ("products", self.products),
            )
            if value
        ]
        return f"{', '.join(parts) or 'nothing evaluated'} in {self.seconds:.2f} s"
