"""Every statement examined on the user's own network: which apply, what they guarantee, what is refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.added import added
from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.errors import BudgetSpent, InputError, ThalwegError
from thalweg.records import Audit, AuditStatus, Check, Verdict, VerdictStatus
from thalweg.theory.claim import Claim
from thalweg.theory.registry import CLAIMS
from thalweg.theory.subject import Subject

GROUP = "thalweg.claims"
"""The entry points by which another package adds claims: each names a Claim class."""


def known() -> dict[str, Claim]:
    """Every claim by its id: ours, and those that installed packages add.

    Raises
    ------
    InputError
        If one of theirs cannot be loaded, or has the id of another.
    """
    found = dict(CLAIMS)
    for made in added(GROUP).values():
        claim = made()
        if claim.id in found:
            raise InputError(f"the claim {claim.id!r} of {made.entry.value} has the id of another: rename it")
        found[claim.id] = claim
    return found


@dataclass(frozen=True)
class Examine:
    """Examine ``claims`` (ids, or prefixes such as "arora_2019"; none: every claim known) at a point.

    Raises
    ------
    InputError
        If an id names no claim.
    """

    claims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.chosen()

    def chosen(self) -> Mapping[str, Claim]:
        """The claims that are meant, in the order of the registry."""
        every = known()
        for name in self.claims:
            if not any(_meant(name, key) for key in every):
                raise InputError(f"claim {name!r} is unknown: choose among {', '.join(every)}")
        wanted = self.claims
        return {key: c for key, c in every.items() if not wanted or any(_meant(name, key) for name in wanted)}

    def __call__(
        self,
        objective: Objective,
        point: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Audit:
        """Examine each claim; one that cannot be examined here is inconclusive, with the reason.

        Raises
        ------
        InputError
            If a layer is empty.
        """
        empty = [entry.name for entry in objective.space.entries if entry.size == 0]
        if empty:
            raise InputError(
                f"{empty[0]} has no numbers: no statement is about networks with an empty layer; leave it out"
            )
        source = stream(rng)("audit")
        place = point if isinstance(point, Point) else objective.point(point)
        counted = Metered(objective, budget)
        subject = Subject(counted, place, source)
        found: list[Verdict] = []
        status = AuditStatus.DONE
        for claim in self.chosen().values():
            try:
                found.append(claim.examine(subject))
            except BudgetSpent:
                status = AuditStatus.PARTIAL
                break
            except ThalwegError as error:
                found.append(_stopped(claim, error))
            # Of matrices that are not finite.
            except (np.linalg.LinAlgError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
                found.append(_stopped(claim, InputError(" ".join(str(error).split())[:200])))
        return Audit(
            data={},
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted, self, (place,), source),
            verdicts=tuple(found),
        )


def audit(
    objective: Objective,
    point: Point | Tensor | np.ndarray,
    claims: Sequence[str] = (),
    *,
    rng: int | Stream = 0,
    budget: Budget | None = None,
) -> Audit:
    """Which statements apply to this network at this point (:class:`Examine`)."""
    return Examine(tuple(claims))(objective, point, rng=rng, budget=budget)


def _meant(name: str, key: str) -> bool:
    return key == name or key.startswith(f"{name}.")


def _stopped(claim: Claim, error: ThalwegError) -> Verdict:
    check = Check.given("it can be examined here", False, " ".join(str(error).split()))
    return Verdict(claim.id, VerdictStatus.INCONCLUSIVE, (check,), "nothing", claim.citation, claim.loss_scale)
