"""Contracts bite: an implementer that breaks one thing fails that check, in words that name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import thalweg as tw
from thalweg.core.objective import Objective
from thalweg.descent import Rule
from thalweg.descent.rule import Info, Spent, State
from thalweg.paths import Bezier, Polyline
from thalweg.records import Check, Cost
from thalweg.store import Ledger, Sink
from thalweg.testing import (
    ClaimContract,
    Contract,
    CurveContract,
    ObjectiveContract,
    RuleContract,
    StoreContract,
    check_rule,
)
from thalweg.theory import Case, Claim, Conclusion, Subject


def broken(contract: type[Contract], make: Any, check: str) -> str:
    """What a check of a contract says of ``make``."""
    kept = type("Tried", (contract,), {"make": staticmethod(make)})()
    with pytest.raises(AssertionError) as found:
        getattr(kept, f"test_{check}")()
    said = str(found.value)
    assert "\n" not in said and len(said) > 20
    return said


# --- objectives -------------------------------------------------------------------------------------------------------


class Quartic(tw.Function):
    def __init__(self) -> None:
        super().__init__(lambda x: (x**4).sum() + x[0] * x[1], 3, initial=torch.tensor([1.0, -0.5, 0.3]))

    def to(self, dtype: torch.dtype | None = None, device: Any = None) -> tw.Function:
        return self


class Doubled(Quartic):
    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = super().value_and_grad(thetas)
        return value, 2 * gradient


class Centred(Quartic):
    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        found = super().evaluate(thetas)["loss"]
        return {"loss": found - found.mean()}


class Random(Quartic):
    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        return {"loss": super().evaluate(thetas)["loss"] + 1e-9 * torch.rand(1, dtype=torch.float64)}


class Rounded(Quartic):
    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        return {"loss": super().evaluate(thetas)["loss"].float()}


class Shifted(Quartic):
    def scalar(self, theta: Tensor) -> Tensor:
        return super().scalar(theta) + 1e-6


class Bent(Quartic):
    def linearized(self, thetas: Tensor) -> Any:
        return super().linearized(1.001 * thetas)


class Promising(Quartic):
    metrics = ("accuracy",)


class Wrapping(Quartic):
    def losses(self, thetas: Tensor) -> Tensor:
        return super().losses(thetas[:, :3])


class OffTheSphere(tw.Function):
    def __init__(self) -> None:
        super().__init__(lambda x: x[0] + x[1] ** 2, 3, manifold="sphere")

    def retract(self, thetas: Tensor) -> Tensor:
        return 1.01 * thetas

    def to(self, dtype: torch.dtype | None = None, device: Any = None) -> tw.Function:
        return self


OBJECTIVES: list[tuple[type[Objective], str, str]] = [
    (Doubled, "gradients_are_those_of_the_scalar", "gradient against autograd's"),
    (Centred, "values_do_not_depend_on_the_batch", "5 points against those of each alone"),
    (Random, "values_do_not_depend_on_the_batch", "evaluated again"),
    (Rounded, "values_do_not_depend_on_the_batch", "float32: values are float64"),
    (Shifted, "values_are_those_of_the_scalar", "losses against scalar: off by 1e-06"),
    (Bent, "products_are_those_of_the_hessian", "hvp against two backward passes"),
    (Promising, "every_metric_has_a_value", "no ['accuracy']"),
    (Wrapping, "a_point_of_another_length_is_refused", "check thetas by self.space.check"),
    (Quartic, "another_dtype_is_the_same_function", "to(float32) has a space of torch.float64"),
    (OffTheSphere, "a_manifold_is_kept", "retract of points that it gave"),
]


@pytest.mark.parametrize(("made", "check", "text"), OBJECTIVES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_objective_is_named(made: type[Objective], check: str, text: str) -> None:
    assert text in broken(ObjectiveContract, made, check)


# --- rules ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plain(Rule):
    """Gradient descent, one thing of which each subclass breaks."""

    lr: float = 0.1

    def init(self, objective: Objective, theta: Tensor) -> State:
        return State(theta, {"mean": torch.zeros_like(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        loss, gradient = objective.value_and_grad(state.theta)
        mean = 0.5 * state.slots["mean"] + gradient
        return State(state.theta - self.lr * mean, {"mean": mean}, state.count + 1), Info(loss, gradient)


class InPlace(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        state.slots["mean"].add_(info.gradient)
        return new, info


class Standing(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        return replace(new, count=state.count), info


class Coupled(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        loss, gradient = objective.value_and_grad(state.theta)
        theta = state.theta - self.lr * gradient / gradient.norm()
        return State(theta, state.slots, state.count + 1), Info(loss, gradient)


class Uncounted(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        objective.value_and_grad(new.theta)
        return new, info


class Secretive(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        with objective.linearized(state.theta) as linear:
            linear.hvp(info.gradient[:, None])
        return new, replace(info, spent=Spent(products=1.0))


class Unseeded(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        return replace(new, theta=new.theta + 1e-6 * torch.randn_like(new.theta)), info


class Climbing(Plain):
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        new, info = super().step(objective, state)
        return replace(new, theta=2 * state.theta - new.theta), info


class Remembering(Plain):
    """Keeps its mean where a checkpoint does not see it."""

    kept: dict[int, Tensor] = {}  # noqa: RUF012

    def init(self, objective: Objective, theta: Tensor) -> State:
        self.kept.clear()
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        loss, gradient = objective.value_and_grad(state.theta)
        self.kept[0] = 0.5 * self.kept.get(0, 0) + gradient
        return State(state.theta - self.lr * self.kept[0], {}, state.count + 1), Info(loss, gradient)


class Mutable(Rule):
    def __init__(self) -> None:
        self.lr = 0.1

    init, step = Plain.init, Plain.step  # type: ignore[assignment]


RULES: list[tuple[type[Rule], str, str]] = [
    (Mutable, "it_is_frozen_and_equal_to_one_made_alike", "is no dataclass"),
    (InPlace, "a_step_leaves_its_state_alone", "the slot 'mean' of the state that was stepped from"),
    (Standing, "a_step_leaves_its_state_alone", "from count 0 to 0"),
    (Coupled, "a_batch_cut_in_two_gives_what_the_whole_one_gives", "a batch of 5 cut in two and 3"),
    (
        Uncounted,
        "it_counts_what_the_objective_counts",
        "and the objective saw 120",
    ),
    (Secretive, "it_says_what_it_needs", "it took 5 products"),
    (Unseeded, "the_seed_decides", "the end of a run with the same seed"),
    (Remembering, "an_interrupted_run_goes_on_to_the_same_end", "interrupted at step 17"),
    (Climbing, "it_lowers_f_on_a_bowl", "F rose from"),
]


@pytest.mark.parametrize(("made", "check", "text"), RULES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_rule_is_named(made: type[Rule], check: str, text: str) -> None:
    assert text in broken(RuleContract, made, check)


def test_all_that_is_broken_is_named_at_once() -> None:
    assert check_rule(Plain) == {}
    with pytest.raises(AssertionError, match="checks of RuleContract are broken") as found:
        check_rule(Standing)
    lines = str(found.value).splitlines()[1:]
    assert all(line.startswith("test_") for line in lines) and "count" in lines[0]
    assert "AttributeError: " in _said(lambda: 3)  # a stranger's error is a finding too


def _said(make: Any) -> str:
    with pytest.raises(AssertionError) as found:
        check_rule(make)
    return str(found.value)


# --- curves -----------------------------------------------------------------------------------------------------------


class Rough(Bezier):  # type: ignore[misc]
    def basis(self, t: Tensor) -> Tensor:
        return super().basis(t) * (1 + 1e-15) + 1e-14


class Heavy(Bezier):  # type: ignore[misc]
    def basis(self, t: Tensor) -> Tensor:
        return super().basis(t) * (1 + t * (1 - t)).unsqueeze(1)


class Slow(Bezier):  # type: ignore[misc]
    def slope(self, t: Tensor) -> Tensor:
        return 0.99 * super().slope(t)


class Short(Bezier):  # type: ignore[misc]
    def length(self, weights: Tensor | None = None) -> float:
        return 0.9 * super().length(weights)


class Unweighted(Bezier):  # type: ignore[misc]
    def length(self, weights: Tensor | None = None) -> float:
        return super().length(None)


class Even(Bezier):  # type: ignore[misc]
    def resampled(self, count: int) -> Polyline:
        return Polyline(self.theta(torch.linspace(0, 1, count, dtype=torch.float64) ** 2))


class Forgetful(Bezier):  # type: ignore[misc]
    def tensors(self) -> dict[str, Tensor]:
        return {"knots": self.knots.float().double()}


class Open(Bezier):  # type: ignore[misc]
    def theta(self, t: Any) -> Tensor:
        at = torch.atleast_1d(torch.as_tensor(t, dtype=torch.float64)).clamp(0, 1)
        return super().theta(at)


CURVES: list[tuple[type[Bezier], str, str]] = [
    (Rough, "the_ends_are_the_end_knots_to_the_last_bit", "the ends of a torch.float64 curve"),
    (Heavy, "weights_add_up_to_one_and_slopes_to_zero", "the sum of the weights of a point"),
    (Slow, "velocity_is_the_derivative", "velocity against a difference of points"),
    (Short, "the_length_is_that_of_its_points", "length against a polyline"),
    (Unweighted, "the_length_is_that_of_its_points", "length with weights against"),
    (Short, "distances_end_at_the_length", "the last distance against the length"),
    (Even, "resampling_goes_along_the_curve", "distances along the curve, resampled"),
    (Forgetful, "a_curve_is_made_again_from_its_tensors", "made again from its tensors"),
    (Open, "what_is_no_curve_is_refused", "a point at t = 1.5: it was not refused"),
]


@pytest.mark.parametrize(("made", "check", "text"), CURVES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_curve_is_named(made: type[Bezier], check: str, text: str) -> None:
    assert text in broken(CurveContract, made, check)


# --- stores -----------------------------------------------------------------------------------------------------------


class Latest(Ledger):
    def settle(self, plan: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return settings


class Generous(Ledger):
    def claim(self, plan: str, tasks: int) -> int | None:
        found = super().claim(plan, tasks)
        return 0 if found is None else found


class Eager(Ledger):
    def checksums(self, plan: str) -> Mapping[int, str]:
        return {**dict.fromkeys(self.attempts(plan), ""), **super().checksums(plan)}


class Twice(Ledger):
    def finish(self, plan: str, task: int, checksum: str, cost: Cost) -> None:
        super().finish(plan, task, "always the same", cost)


class Keeping(Ledger):
    def release(self, plan: str, task: int) -> None:
        return


class Quiet(Sink):
    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        return {name: np.nan_to_num(array) for name, array in super().read(plan, checksums).items()}


class Trusting(Sink):
    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        return {name: np.asarray(array[:]) for name, array in self._opened[plan].arrays.items()}


class Forgetting(Sink):
    def load_state(self, plan: str) -> dict[str, np.ndarray] | None:
        found = super().load_state(plan)
        return None if found is None else {name: x.astype(float) for name, x in found.items()}


STORES: list[tuple[type[Ledger], type[Sink], str, str]] = [
    (Latest, Sink, "the_first_settings_win", "task_size is 5"),
    (Generous, Sink, "a_task_is_given_once", "4 tasks were given as [0, 1, 2, 3, 0]"),
    (Eager, Sink, "a_task_counts_when_it_is_finished", "only leased counts as done"),
    (Twice, Sink, "a_task_is_done_once", "another result of a task that is done: it was not refused"),
    (Keeping, Sink, "a_task_given_back_is_given_again", "claims give [None, None]"),
    (Ledger, Quiet, "arrays_come_back_bit_for_bit", "the array 'loss' in tasks of 1 points"),
    (Ledger, Trusting, "a_difference_from_a_checksum_is_named", "a task that is not its checksum: it was not refused"),
    (Ledger, Forgetting, "a_state_is_replaced_whole", "the state's"),
    (Ledger, Quiet, "a_plan_is_carried_out_once", "'pair' of a recorded plan"),
]


@pytest.mark.parametrize(("ledger", "sink", "check", "text"), STORES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_store_is_named(ledger: type[Ledger], sink: type[Sink], check: str, text: str) -> None:
    def make(folder: Path) -> tuple[Ledger, Sink]:
        return ledger(folder / "ledger.sqlite"), sink(folder)

    assert text in broken(StoreContract, make, check)


# --- claims -----------------------------------------------------------------------------------------------------------


class Small(Claim):
    """F is below 1 where its argument is small; each subclass breaks one thing."""

    id, statement, citation = "mine_2000.small", "If |x| ≤ 1 then x² ≤ 1.", "folklore, 2000"
    __final__ = True

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        return (Check.at_most("|x|", float(subject.theta.norm()), 1.0),)

    def conclude(self, subject: Subject) -> Conclusion:
        return Conclusion(subject.loss <= 1, f"x² = {subject.loss:.3g}")

    def example(self) -> Case:
        return Case(tw.Function(lambda x: x.square().sum(), 1), torch.tensor([0.5]))

    def control(self) -> Case:
        return Case(tw.Function(lambda x: x.square().sum(), 1), torch.tensor([2.0]), drops="|x|")


class Needless(Small):
    __final__ = True

    def control(self) -> Case:
        return Case(tw.Function(lambda x: 0.1 * x.square().sum(), 1), torch.tensor([2.0]), drops="|x|")


class Other(Small):
    __final__ = True

    def control(self) -> Case:
        return replace(super().control(), drops="convexity")


class Both(Small):
    __final__ = True
    control = Small.example


class Nowhere(Small):
    __final__ = True
    example = Small.control


class Undated(Small):
    __final__ = True
    citation = "folklore"


class Subclassed(Small):
    pass


CLAIMS: list[tuple[type[Claim], str, str]] = [
    (Nowhere, "it_holds_at_its_example", "not holds, at its example: |x|: 2 against 1"),
    (Needless, "it_is_refused_and_false_at_its_control", "conclusion at its control is True"),
    (Other, "it_is_refused_and_false_at_its_control", "drops 'convexity', and what is unmet there is ['|x|']"),
    (Both, "it_is_refused_and_false_at_its_control", "no hypothesis was dropped"),
    (Undated, "what_it_says_of_itself", "name the year"),
    (Subclassed, "what_it_says_of_itself", "is not final"),
]


@pytest.mark.parametrize(("made", "check", "text"), CLAIMS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_claim_is_named(made: type[Claim], check: str, text: str) -> None:
    assert text in broken(ClaimContract, made, check)
