"""E25: the index as a number and as a fraction."""

from __future__ import annotations

from typing import ClassVar, final

from thalweg.critical import classify
from thalweg.theory.deep_linear.build import network, point
from thalweg.theory.deep_linear.critical_points import build
from thalweg.theory.errata.e14_degenerate_saddles import data
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

WIDTHS = ((3, 3, 3, 3), (3, 4, 4, 3), (3, 6, 6, 3))


@final
class Index(Erratum):
    """One word for two things."""

    id: ClassVar[str] = "E25"
    place: ClassVar[str] = "003 fourth paragraph, beside 001 Definition III.1"
    quote: ClassVar[str] = "the index (fraction of negative eigenvalues of the Hessian) at a critical point"
    judgement: ClassVar[Judgement] = "informal"
    corrected: ClassVar[str] = (
        "Definition III.1 of the survey, and Morse theory, count: the index is the number of negative eigenvalues. The "
        "fraction is that number divided by the number of parameters, and the two do not rank points of networks of "
        "different sizes alike. Here index means the number."
    )
    fairness: ClassVar[str] = "Both are in use; the fraction is that of the paper on random matrices cited there."
    states: ClassVar[tuple[str, ...]] = ("001.definition_III.1", "003.critical_loss")

    def refute(self) -> Shown:
        """One critical point in networks of three widths: the same number, three fractions."""
        found = [self._found(widths) for widths in WIDTHS]
        shares = [index / size for index, size, _ in found]
        said = f"index {', '.join(str(i) for i, _, _ in found)}, fractions {', '.join(f'{s:.3g}' for s in shares)}"
        ok = len({index for index, _, _ in found}) == 1 and len(set(shares)) == 3 and found[0][0] > 0
        return Shown(ok, said, {"first": shares[0], "last": shares[-1]})

    def confirm(self) -> Shown:
        """The number is what the construction predicts in each."""
        found = [self._found(widths) for widths in WIDTHS]
        right = sum(index == predicted for index, _, predicted in found)
        said = f"exact inertia gives the predicted number at {right} of {len(found)}"
        return Shown(right == len(found), said, {"right": right})

    @staticmethod
    def _found(widths: tuple[int, ...]) -> tuple[int, int, int]:
        """Index, number of parameters and predicted index of the point that keeps the last eigenvector."""
        spectrum = data(3, 3, 6)
        made = build(spectrum, widths, (2,))
        risk = network(widths, spectrum.inputs, spectrum.targets)
        index = classify(risk, point(risk, made.weights)).index
        return int(index.lower or 0), risk.space.size, made.index


if __name__ == "__main__":
    print(Index().report())
