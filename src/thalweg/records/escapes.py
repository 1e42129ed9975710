"""Optimisers raced from a saddle or a bad minimum: first passages of every start, by rule and landscape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.cost import Cost
from thalweg.records.provenance import Fingerprint
from thalweg.records.status import Status
from thalweg.records.survival import LEVEL, Exponent, Survival, wilson


class RaceStatus(Status):
    """How a race ended."""

    RACED = ("Every rule ran from every start until it passed the level or its steps ended.",)
    DEGENERATE = (
        "A start is a degenerate critical point, whose Hessian has no negative eigenvalue: passing the level counts as "
        "an escape only where the end point was shown to be second-order stationary.",
        "Race from a strict saddle to compare rates of escape.",
    )
    UNPASSED = (
        "No rule passed the level from any start; every time is censored.",
        "Ask for more steps or a level nearer to the start, or begin near the saddle instead of on it.",
    )
    BUDGET = (
        "The budget ended before every start had passed the level or used its steps; those are censored.",
        "Raise the budget.",
    )


STATIONARY, NOT_STATIONARY, UNKNOWN = 1, 0, -1
"""What is said of an end point in the array ``stationary``."""


@dataclass(frozen=True, slots=True)
class Landscape:
    """Where a race was held: its name with its parameters, and the event.

    ``kind`` is what the centre of the starts is ("strict saddle"), ``value`` F there, ``lowest`` the smallest Hessian
    eigenvalue there. A start must fall below ``level``, chosen by ``rule``; ``floor`` is the infimum of F where it is
    known. ``gap`` is the parameter of that name, or minus the smallest eigenvalue.
    """

    name: str
    dimension: int
    gap: float | None
    start: str
    kind: str
    value: float
    level: float
    rule: str
    lowest: float | None
    floor: float | None
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Lane:
    """One rule on one landscape: its constants as they ran, how they were chosen, those of its theory, its cost."""

    rule: str
    landscape: int
    constants: str
    tuning: str
    theory: str
    steps: int
    cost: Cost
    note: str = ""


@dataclass(frozen=True, slots=True)
class RaceRow:
    """What a lane shows. Times are Kaplan–Meier quantiles: None where too few starts passed.

    ``escaped`` is the share of starts that escaped with its Wilson ``interval``; ``passed`` the share below the level;
    ``median_interval`` bounds the median of ``steps``; ``stationary`` counts end points shown to be second-order
    stationary, ``judged`` those that were looked at. ``gradients`` and ``products`` are medians until passage.
    """

    rule: str
    subject: str
    dimension: int
    gap: float | None
    starts: int
    median_steps: float | None
    quartiles: tuple[float | None, float | None]
    median_interval: tuple[float | None, float | None]
    gradients: float | None
    products: float | None
    forwards: float | None
    escaped: float
    interval: tuple[float, float]
    passed: float
    stationary: int
    judged: int
    diverged: int
    returned: int
    seconds: float
    constants: str
    note: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Race(Record):
    """First passages of L lanes (a rule on a landscape) from N starts each.

    Arrays [L, N]: ``steps``, ``gradients``, ``products`` and ``forwards`` until passage, or until the start was no
    longer watched; ``passed``, whether F fell below the level; ``escaped``, whether that counts as an escape;
    ``diverged``, whether it left the finite numbers, and ``returned``, whether its rule ended it, both of which count
    as never passing; ``loss``, ``gradient_norm`` and ``smallest`` (the lowest Hessian eigenvalue, NaN where not
    computed) at the end point, which lies ``settling`` steps of plain descent beyond the passage; ``stationary``, 1, 0
    or −1 (unknown), where ‖∇F‖ and −λ_min are at most ``tolerance``. ``spectra`` [landscapes, ≤P]: the eigenvalues at
    each centre, padded with NaN; absent without any.
    """

    record_type: ClassVar[str] = "race"
    required: ClassVar[tuple[str, ...]] = (
        "steps", "gradients", "products", "forwards", "passed", "escaped", "diverged", "returned", "loss",
        "gradient_norm", "smallest", "stationary",
    )  # fmt: skip

    status: RaceStatus
    landscapes: tuple[Landscape, ...]
    lanes: tuple[Lane, ...]
    start: str
    settling: int
    tolerance: tuple[float, float]
    exponents: tuple[Exponent, ...] = ()

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: every number is of the starts that were drawn, with its interval."""
        return Guarantee.SAMPLED

    @property
    def starts(self) -> int:
        """How many starts each lane has."""
        return int(self.data["steps"].shape[1])

    def survival(self, lane: int, what: str = "steps") -> Survival:
        """The share of a lane's starts not yet below the level, against ``what``: steps, gradients or products."""
        return Survival.of(self.data[what][lane], self.data["passed"][lane].astype(bool))

    @property
    def rows(self) -> tuple[RaceRow, ...]:
        """Every lane in a row."""
        return tuple(self._row(i) for i in range(len(self.lanes)))

    def _row(self, i: int) -> RaceRow:
        lane, passage = self.lanes[i], self.survival(i)
        place, escapes, stationary = (
            self.landscapes[lane.landscape],
            self.data["escaped"][i],
            self.data["stationary"][i],
        )
        median = {name: self.survival(i, name).median for name in ("gradients", "products", "forwards")}
        return RaceRow(
            rule=lane.rule,
            subject=place.name,
            dimension=place.dimension,
            gap=place.gap,
            starts=self.starts,
            median_steps=passage.median,
            quartiles=(passage.quantile(0.25), passage.quantile(0.75)),
            median_interval=passage.interval(),
            **median,
            escaped=float(escapes.mean()),
            interval=wilson(int(escapes.sum()), self.starts, LEVEL),
            passed=float(self.data["passed"][i].mean()),
            stationary=int((stationary == STATIONARY).sum()),
            judged=int((stationary != UNKNOWN).sum()),
            diverged=int(self.data["diverged"][i].sum()),
            returned=int(self.data["returned"][i].sum()),
            seconds=lane.cost.seconds,
            constants=lane.constants,
            note=lane.note,
        )

    @property
    def summary(self) -> str:
        """Which rule passes in the fewest gradients, which in the fewest steps, and which never do."""
        rows = self.rows
        place = self.landscapes[0].name if len(self.landscapes) == 1 else f"{len(self.landscapes)} landscapes"
        said = f"{len({r.rule for r in rows})} rules from {self.starts} starts ({self.start}) on {place}"
        reached = [r for r in rows if r.median_steps is not None and r.escaped > 0]
        if reached:
            fast = min(reached, key=lambda r: r.median_steps or 0.0)
            cheap = min(reached, key=lambda r: (r.gradients or 0.0) + 2 * (r.products or 0.0) + (r.forwards or 0.0) / 3)
            said += f": fewest steps {fast.rule} (median {fast.median_steps:,.0f})"
            work = (cheap.gradients or 0.0) + 2 * (cheap.products or 0.0) + (cheap.forwards or 0.0) / 3
            said += f", least work {cheap.rule} ({work:,.0f} gradients' worth)"
        never = list(dict.fromkeys(r.rule for r in rows if r.passed == 0))
        said += f"; never below the level: {', '.join(never)}" if never else ""
        return said + "."
