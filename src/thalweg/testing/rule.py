"""The contract of a descent rule: batches, counts, randomness and resumption, run by the one loop."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import is_dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.evaluate import Evaluator, Outcome, Plan
from thalweg.core.function import Function
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.descent.loop import Descent
from thalweg.descent.noise import Noise
from thalweg.descent.rule import Rule
from thalweg.errors import InputError
from thalweg.records import Run, RunStatus
from thalweg.testing.contract import Contract, close, keeps, same, skip

NEEDS = frozenset({"value", "gradient", "product"})
"""What a rule may ask of an objective."""

COUNTED = ("gradients", "forwards", "products")


class RuleContract(Contract):
    """What every rule keeps, on a bowl of largest curvature 1 with 20 rows.

    ``steps`` is how many steps it has to lower F in. Override :meth:`objective` and :meth:`starts` to see the rule
    where it has more to do than on a bowl.
    """

    steps: int = 60

    @abstractmethod
    def make(self) -> Rule:
        """The rule that is examined, with settings that suit a curvature of at most 1; equal at every call."""

    def objective(self) -> Objective:
        """What the rule descends: ½ Σ a_j x_j² + b_i·x over 20 rows b_i of mean 0, a from 0.2 to 1; [6]."""
        return bowl(6)

    def starts(self, count: int) -> Tensor:
        """Points [count, P] to begin from."""
        return _drawn(count, self.objective().space.size)

    def test_it_is_frozen_and_equal_to_one_made_alike(self) -> None:
        """A rule is a frozen dataclass: its record names its settings, and nothing moves them under a run."""
        rule = self.make()
        keeps(is_dataclass(rule), f"{type(rule).__name__} is no dataclass: its record cannot say its settings")
        parameters = type(rule).__dataclass_params__  # type: ignore[attr-defined]
        keeps(parameters.frozen, f"{type(rule).__name__} is not frozen: write @dataclass(frozen=True)")
        keeps(rule == self.make(), "make gives two rules that differ: a resume would be refused")

    def test_it_says_what_it_needs(self) -> None:
        """``needs`` lies within value, gradient and product; without "product" it takes none."""
        rule = self.make()
        keeps(rule.needs <= NEEDS, f"needs={set(rule.needs)}: choose among {sorted(NEEDS)}")
        run = self._run(rule, self.starts(1), steps=5)
        asked = run.cost.products == 0 or "product" in rule.needs
        keeps(asked, f"it took {run.cost.products:g} products, and needs={set(rule.needs)} says none")

    def test_a_step_leaves_its_state_alone(self) -> None:
        """``init`` begins at theta with every slot; ``step`` returns another, one count on, and changes no tensor."""
        rule, objective, theta = self.make(), self.objective().training(), self.starts(3)
        state = rule.init(objective, theta.clone())
        same(state.theta, theta, "the theta of init")
        keeps(state.count == 0, f"init begins at count {state.count}, not 0")
        state = replace(state, noise=Noise.numbered(Stream(0), 0, 3))
        before = {name: x.clone() for name, x in state.slots.items()}
        new, info = rule.step(objective, state)
        same(state.theta, theta, "the theta of the state that was stepped from")
        for name, kept in before.items():
            same(state.slots[name], kept, f"the slot {name!r} of the state that was stepped from")
            keeps(len(kept) == 3, f"the slot {name!r} has {len(kept)} rows for 3 points: it is [B, …]")
        keeps(new.count == 1, f"a step leads from count 0 to {new.count}: it is one more")
        shapes = {name: (x.shape, x.dtype) for name, x in new.slots.items()}
        begun = {name: (x.shape, x.dtype) for name, x in before.items()}
        keeps(shapes == begun, f"a step leads from slots {begun} to {shapes}: init makes every slot")
        keeps(
            new.theta.shape == theta.shape and new.theta.dtype == theta.dtype, "a step changes theta's shape or dtype"
        )
        keeps(info.loss.shape == (3,) and info.gradient.shape == theta.shape, "Info is loss [B] and gradient [B, P]")
        close(info.loss, objective.losses(theta), 1e-10, 1e-12, "Info's loss against F at the point that was left")

    def test_a_batch_cut_in_two_gives_what_the_whole_one_gives(self) -> None:
        """A point does not depend on its neighbours: neither its steps, nor its draws, nor its counts."""
        x = self.starts(5)
        whole = self._run(self.make(), x, steps=15, batch=4)
        cut = [self._run(self.make(), x[i:j], steps=15, batch=4, first=i) for i, j in ((0, 2), (2, 5))]
        joined = np.concatenate([run.final for run in cut])
        close(torch.tensor(joined), torch.tensor(whole.final), 1e-10, 1e-14, "a batch of 5 cut in two and 3")
        for name in COUNTED:
            same(np.concatenate([run.data[name] for run in cut]), whole.data[name], f"{name} of a batch cut in two")
        if "product" in self.make().needs:
            return
        other = self._run(self.make(), x[2:], steps=15, batch=4)
        moved = not np.allclose(whole.final[2:], other.final, rtol=1e-10, atol=1e-14)
        keeps(moved, "points 2 to 4 as points 0 to 2 go the same way on other minibatches: the step ignores its rows")

    def test_it_counts_what_the_objective_counts(self) -> None:
        """``Spent`` of its steps adds up to what was evaluated."""
        for x in (self.starts(1), torch.zeros_like(self.starts(1))):
            run = self._run(self.make(), x, steps=60, every=60)
            pictures = len(run.data["steps"])
            spent = {name: float(run.data[name][0]) for name in COUNTED}
            counted = {
                "gradients": run.cost.backwards - pictures,
                "forwards": run.cost.forwards - pictures,
                "products": run.cost.products,
            }
            for name in COUNTED:
                agrees = abs(spent[name] - counted[name]) <= 1e-12 * abs(counted[name])
                keeps(
                    agrees, f"Spent says {spent[name]:g} {name} over the run, and the objective saw {counted[name]:g}"
                )

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same run to the last bit."""
        once, again = (self._run(self.make(), self.starts(3), steps=12, batch=4) for _ in range(2))
        same(again.final, once.final, "the end of a run with the same seed")

    def test_an_interrupted_run_goes_on_to_the_same_end(self) -> None:
        """Everything a step keeps is in ``slots``: a run that was killed and resumed is the whole one, bit for bit."""
        whole = self._run(self.make(), self.starts(3), steps=30, batch=7, replacement=True)
        memory = Memory(stop=17)
        try:
            self._run(self.make(), self.starts(3), steps=30, batch=7, replacement=True, memory=memory)
        except KeyboardInterrupt:
            memory.stop = None
        else:  # every point was returned before
            memory.stop = None
        resumed = self._run(self.make(), self.starts(3), steps=30, batch=7, replacement=True, memory=memory)
        same(resumed.final, whole.final, "the end of a run that was interrupted at step 17")

    def test_it_lowers_f_on_a_bowl(self) -> None:
        """On a strictly convex quadratic F falls from every start."""
        objective, starts = bowl(6), _drawn(4, 6)
        run = _descended(Descent(self.make(), steps=self.steps), objective, starts)
        keeps(bool(np.isfinite(run.final).all()), "a point of a bowl left the finite numbers")
        first = objective.losses(starts).numpy()
        risen = run.final_loss >= first
        keeps(not risen.any(), f"F rose from {first[risen][:1]} to {run.final_loss[risen][:1]} in {self.steps} steps")

    def test_a_point_that_is_not_finite_ends_alone(self) -> None:
        """Where F is NaN a point is called diverged, and its neighbour goes on as if it were alone."""
        objective = Function(lambda x: x.square().sum() / 2 - torch.log1p(x[0]), 2)
        points = torch.tensor([[-2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
        try:
            run = _descended(Descent(self.make(), steps=5), objective, points)
        except InputError as refusal:
            skip(str(refusal))
        keeps(run.endings[0] is RunStatus.DIVERGED, f"a point where F is NaN ended as {run.endings[0].name}")
        keeps(run.endings[1] is not RunStatus.DIVERGED, "the neighbour of a point where F is NaN diverged too")
        alone = _descended(Descent(self.make(), steps=5, first=1), objective, points[1:])
        close(torch.tensor(run.final[1]), torch.tensor(alone.final[0]), 1e-9, 1e-12, "the neighbour of a NaN")

    def _run(self, rule: Rule, x: Tensor, *, memory: Evaluator | None = None, **options: int | bool | None) -> Run:
        if "product" in rule.needs:  # which are not offered where each point has rows of its own
            options = {name: value for name, value in options.items() if name not in ("batch", "replacement")}
        return _descended(Descent(rule, **options), self.objective(), x, memory)  # type: ignore[arg-type]


def _descended(descent: Descent, objective: Objective, x: Tensor, memory: Evaluator | None = None) -> Run:
    """The run, unless the rule never comes to the next step: the loop would then go on for ever."""
    training = objective.training()
    state = replace(descent.rule.init(training, x), noise=Noise.numbered(Stream(0), 0, len(x)))
    count = descent.rule.step(training, state)[0].count
    keeps(count == state.count + 1, f"a step leads from count {state.count} to {count}: it is one more")
    return descent(objective, x, rng=3, evaluate=memory)


def _drawn(count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=Stream(0)("testing", "starts").torch(), dtype=torch.float64)


class _Rows(nn.Module):
    """½ Σ a_j x_j² + b_i·x, the value for every row b_i."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.ones(size, dtype=torch.float64))
        self.register_buffer("curvatures", torch.linspace(0.2, 1.0, size, dtype=torch.float64))

    def forward(self, b: Tensor) -> Tensor:
        """One value a row."""
        return (self.curvatures * self.x.square()).sum() / 2 + b @ self.x  # type: ignore[operator]


@functools.cache
def bowl(size: int, rows: int = 20) -> EmpiricalRisk:
    """A convex quadratic with its minimum, 0, at 0, whose rows pull every way."""
    b = torch.randn(rows, size, generator=Stream(0)("testing", "bowl").torch(), dtype=torch.float64)
    data = (b - b.mean(0), torch.zeros(rows, dtype=torch.float64))
    return EmpiricalRisk(_Rows(size), lambda outputs, _: outputs, data)


class Memory(Evaluator):
    """Keeps what a descent saves, and interrupts it at step ``stop`` as Ctrl-C does."""

    def __init__(self, stop: int | None) -> None:
        self.stop = stop
        self.kept: dict[str, np.ndarray] | None = None

    def __call__(self, plan: Plan) -> Outcome:
        """Not asked for."""
        raise AssertionError("a descent has no plan")

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep a copy."""
        self.kept = {name: np.array(x) for name, x in state.items()}

    def restore(self) -> dict[str, np.ndarray] | None:
        """What was kept."""
        return self.kept

    def progress(self, done: int, total: int) -> None:
        """Interrupt."""
        if done == self.stop:
            raise KeyboardInterrupt
