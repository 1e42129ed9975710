"""The empirical risk of a user's network: F(theta) = Σ_i ℓ_i(theta) / Z + R(theta)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core import backends, precision
from thalweg.core.backends import AUTO, Buffers, Choice, Loop
from thalweg.core.data import Table, read
from thalweg.core.loss import RowLoss, convert, drawn, row_loss
from thalweg.core.network import Network
from thalweg.core.objective import Objective, theta_of
from thalweg.core.parts import Metric, Parts, Regulariser
from thalweg.core.probe import check_rows, check_rows_apart, first_outputs
from thalweg.core.products import Linearization, Term
from thalweg.core.rng import Stream
from thalweg.core.rows import BLOCK_ROWS, RowBlocks
from thalweg.core.space import ParameterSpace, Point
from thalweg.core.split import PerPoint
from thalweg.core.statistics import Batch, Freeze, Recalibrate, Statistics, differ
from thalweg.core.subspace import Located, Subspace
from thalweg.core.tree import Tree, leaves, tree_map
from thalweg.errors import BackendWarning, InputError, LossError, StatisticsError, StatisticsWarning, ThalwegError
from thalweg.records import Fingerprint

REGULARISED = 64
"""Points formed at once where a regulariser has to see them."""


class EmpiricalRisk(Objective):
    """A model, a loss and data as an objective; the model is copied and never touched.

    ``loss`` is a torch loss with a reduction, a callable that returns one loss per row or entry, or a
    callable that returns one number together with ``normaliser="rows"|"sum"``. ``data`` is
    (inputs, targets) of tensors, tuples or dicts, a Dataset, or a DataLoader. ``metrics`` maps names to
    fn(outputs, targets) -> [n]; their mean over rows is reported. ``regulariser(named_tensors)`` is added
    once per point. ``statistics`` forces a normalisation policy; None chooses it by the points of a method
    (see :meth:`at`). ``backend`` is what evaluates many points. ``test`` are rows like ``data`` that methods
    report beside them, see :attr:`test`.

    Raises
    ------
    SubjectError, DataError, LossError, InputError
        At the door, with the value and the remedy, before anything is computed.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Any,
        data: Any,
        *,
        statistics: Statistics | None = None,
        regulariser: Regulariser | None = None,
        metrics: Mapping[str, Metric] | None = None,
        normaliser: str | None = None,
        backend: str = AUTO,
        block_rows: int = BLOCK_ROWS,
        test: Any = None,
    ) -> None:
        backends.check(backend)
        if block_rows < 1:
            raise InputError(f"block_rows={block_rows}: a row block has at least 1 row")
        network = Network.of_module(model)
        space = network.space()
        blocks = RowBlocks(read(data).to(space.dtype, space.device), block_rows)
        first = next(iter(blocks))
        outputs = first_outputs(network, first)
        check_rows(first, outputs)
        check_rows_apart(network, first, outputs)
        template = tree_map(lambda x: x[:1].clone(), outputs)
        found, probe = _probed(loss, template, first, space, normaliser)
        theta = space.ravel(dict(network.module.named_parameters()))
        self._setup(
            Parts(
                network=network,
                space=space,
                initial=Point(theta, network.buffers or None, "initial"),
                loss=found.to(space.dtype, space.device),
                measured=found,
                blocks=blocks,
                calibration=blocks,
                template=template,
                metrics=dict(metrics or {}),
                regulariser=regulariser,
                statistics=statistics,
                backend=backend,
                probe=probe,
                test=None if test is None else read(test).to(space.dtype, space.device),
            )
        )
        self._parts.check_constant()
        if self.test is not None:
            self.test._tested()

    def _setup(self, parts: Parts) -> None:
        self._parts = parts
        self.space, self.initial = parts.space, parts.initial
        self.row_count = parts.blocks.table.count
        self.metrics = tuple(parts.metrics)
        self.tolerance = precision.tolerance(parts.space.dtype)
        self._choices: dict[str, Choice] = {}
        self._settled: dict[str, Mapping[str, Any]] = {}
        self._probes: list[float] = []

    def _with(self, **changes: Any) -> EmpiricalRisk:
        made = EmpiricalRisk.__new__(EmpiricalRisk)
        made._setup(replace(self._parts, **changes))
        if set(changes) <= {"blocks", "statistics", "test"}:
            # A minibatch is evaluated as its whole was checked, a policy as it was once chosen.
            made._choices, made._settled = self._choices, self._settled
        if set(changes) == {"statistics"}:
            made._probes = self._probes
        return made

    # --- values -----------------------------------------------------------------------------------

    @property
    def z(self) -> float:
        """Z, the constant of the data by which the sum of row losses is divided."""
        return self._parts.z

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F at thetas [B, P] as ``loss``, and every metric's mean over rows: float64 [B]."""
        thetas = self.space.check(thetas).detach()
        chosen = self._choice("values", len(thetas))
        return self._values(chosen.backend.totals(self._parts.work(metrics), thetas), [thetas], metrics)

    def along(self, points: Located) -> dict[str, Tensor]:
        """F and every metric at points of a subspace, which need not be formed: float64 [B]."""
        totals = self._on(points.subspace).backend.totals(self._parts.work(metrics=True), points)
        return self._values(totals, (chunk.thetas() for chunk in points.split(REGULARISED)), metrics=True)

    def _values(self, totals: Tensor, thetas: Iterable[Tensor], metrics: bool) -> dict[str, Tensor]:
        loss = totals[:, 0] / self.z
        if self._parts.regulariser is not None:
            with torch.no_grad():
                loss = loss + torch.stack([self._parts.regularised(t) for chunk in thetas for t in chunk]).double()
        names = self.metrics if metrics else ()
        return {"loss": loss} | {name: totals[:, i + 1] / self._parts.count for i, name in enumerate(names)}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F float64 [B] and its gradient [B, P], accumulated in float64 over row blocks."""
        self._derivatives("gradients")
        thetas = self.space.check(thetas).detach()
        chosen = self._choice("gradients", len(thetas))
        sums, gradients = chosen.backend.gradients(self._parts.work(metrics=False), thetas)
        return self._regularised(thetas, sums / self.z, gradients / self.z)

    def paired(self, thetas: Tensor, index: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """As :meth:`evaluate` where point b sees the rows index[b]; index is [B, n]."""
        thetas = self.space.check(thetas).detach()
        chosen = self._choice("values", len(thetas))
        totals = chosen.backend.totals(self._parts.paired(index, metrics), thetas)
        z, n = self._parts.weigh(index).to(totals.device), totals.new_full((len(index),), float(index.shape[1]))
        totals = totals / torch.stack([z, *[n] * (totals.shape[1] - 1)], dim=1)
        loss = self._regularised(thetas, totals[:, 0], torch.zeros_like(thetas))[0]
        return {"loss": loss} | dict(zip(self.metrics if metrics else (), totals[:, 1:].T, strict=True))

    def paired_gradients(self, thetas: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`value_and_grad` where point b sees the rows index[b]; index is [B, n]."""
        self._derivatives("gradients")
        thetas = self.space.check(thetas).detach()
        chosen = self._choice("gradients", len(thetas))
        sums, gradients = chosen.backend.gradients(self._parts.paired(index, metrics=False), thetas)
        z = self._parts.weigh(index).to(sums.device)
        return self._regularised(thetas, sums / z, gradients / z.unsqueeze(1))

    def _regularised(self, thetas: Tensor, values: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        if self._parts.regulariser is not None:
            leaf = thetas.clone().requires_grad_()
            with torch.enable_grad():
                extra = torch.stack([self._parts.regularised(theta) for theta in leaf])
                values = values + extra.detach().double()
                if extra.requires_grad:
                    gradients = gradients + torch.autograd.grad(extra.sum(), leaf, materialize_grads=True)[0]
        return values, gradients.to(self.space.dtype)

    def linearized(self, thetas: Tensor) -> Linearization:
        """Products with the Hessian and the Gauss–Newton matrix at thetas [B, P]."""
        self._derivatives("Hessian products")
        shared = None if self._parts.regulariser is None else Term(self._parts.regularised)
        terms = [self._parts.term(block) for block in self._parts.blocks]
        return Linearization(terms, self.space.check(thetas), shared=shared, reduce=self._parts.blocks.reduce)

    def scalar(self, theta: Tensor) -> Tensor:
        """F at theta [P] as a differentiable scalar."""
        self._derivatives("derivatives")
        if self._parts.split:
            raise InputError("F as one differentiable scalar needs all rows here: use value_and_grad or linearized")
        total = self._parts.regularised(theta)
        for block in self._parts.blocks:
            total = total + self._parts.term(block).value(theta)
        return total

    # --- what lies behind the values ----------------------------------------------------------------

    def outputs(self, theta: Tensor | Point) -> Tree:
        """The network's outputs over all rows, concatenated block by block; no gradient."""
        named, buffers = self._named(theta)
        with torch.no_grad():
            parts = [self._parts.network(named, buffers, block.inputs) for block in self._parts.blocks]
        if len(parts) == 1:
            return parts[0]
        columns = [[x for _, x in leaves(part)] for part in parts]
        joined = iter([torch.cat(column) for column in zip(*columns, strict=True)])
        return tree_map(lambda _: next(joined), parts[0])

    def penalty(self, theta: Tensor | Point) -> float:
        """R at theta, the regulariser's value; 0 without one."""
        with torch.no_grad():
            return float(self._parts.regularised(self.space.check(theta_of(theta))))

    def per_sample(self, theta: Tensor | Point) -> Tensor:
        """ℓ_i, the loss of each row before division by Z and without regulariser, [rows]."""
        named, buffers = self._named(theta)
        network, loss = self._parts.network, self._parts.loss
        with torch.no_grad():
            blocks = [loss.each(network(named, buffers, b.inputs), b.targets) for b in self._parts.blocks]
        return torch.cat(blocks)

    def features(self, theta: Tensor | Point, layer: str) -> Tensor:
        """The output of a named layer over all rows, [rows, …]; no gradient.

        Raises
        ------
        InputError
            If there is no such layer, or it does not return one tensor.
        """
        seen: list[Any] = []
        with self._parts.network.watched(layer, seen.append):
            self.outputs(theta)
        if not seen or not all(isinstance(x, Tensor) for x in seen):
            raise InputError(f"layer {layer!r} does not return one tensor per call: name another")
        return torch.cat([x.detach() for x in seen])

    def jacobian(self, theta: Tensor | Point) -> Tensor:
        """Derivative of the (single-tensor) outputs with respect to theta, [rows, *outputs, P]; dense."""
        self._derivatives("Jacobians")
        vector = self.space.check(self.point(theta).theta)
        buffers = self._parts.buffers(self.space.unravel(vector))
        found = []
        for block in self._parts.blocks:

            def forward(t: Tensor, block: Table = block) -> Tensor:
                return self._parts.network(self.space.unravel(t), buffers, block.inputs)

            leaf = vector.detach().requires_grad_()
            with torch.enable_grad():
                z = forward(leaf)
                if not isinstance(z, Tensor):
                    raise InputError(f"outputs are a {type(z).__name__}: a Jacobian needs one tensor; wrap the model")
                rows = [
                    torch.autograd.grad(v, leaf, retain_graph=True, materialize_grads=True)[0] for v in z.reshape(-1)
                ]
            found.append(torch.stack(rows).reshape(*z.shape, -1))
        return torch.cat(found)

    # --- variants -----------------------------------------------------------------------------------

    def rows(self, index: Tensor) -> Objective:
        """F over the rows index [n]; for [B, n], point b of a batch sees the rows index[b].

        The regulariser stays whole, and Z is the constant of these rows, as a torch loss would have it.
        """
        if index.dtype == torch.bool or index.is_floating_point():
            raise InputError(f"rows of type {index.dtype}: give row numbers, as mask.nonzero().flatten() gives them")
        if index.ndim == 2:
            return PerPoint(self, index)
        made = self._with(blocks=replace(self._parts.blocks, table=self._parts.blocks.table.at(index)))
        if self._parts.row_weights is not None and not self._parts.split:
            made._parts.__dict__["z"] = float(self._parts.weigh(index))  # what measuring it anew would give
        return made

    def with_data(self, data: Any) -> EmpiricalRisk:
        """The same network, loss and statistics over other rows; recalibration still uses the first rows."""
        table = read(data).to(self.space.dtype, self.space.device)
        return self._with(blocks=replace(self._parts.blocks, table=table), test=None)

    @property
    def test(self) -> EmpiricalRisk | None:
        """The same network, loss, regulariser and statistics over the test rows; None where there are none."""
        if self._parts.test is None:
            return None
        return self._with(blocks=replace(self._parts.blocks, table=self._parts.test), test=None)

    def _tested(self) -> None:
        """Refuse rows that this network and this loss cannot take."""
        block = next(iter(self._parts.blocks))
        outputs = first_outputs(self.network, block)
        check_rows(block, outputs)
        try:
            self._parts.loss.sum(outputs, block.targets)
            self._parts.check_constant()
        except ThalwegError:
            raise
        except Exception as error:  # whatever the user's loss raises becomes one line, with its own words
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise LossError(f"the loss fails on the test rows: {line}; give rows like the training rows") from error

    def with_statistics(self, statistics: Statistics | None) -> EmpiricalRisk:
        """The same objective under another normalisation policy; None lets the points decide."""
        return self._with(statistics=statistics)

    def with_backend(self, backend: str) -> EmpiricalRisk:
        """The same objective evaluated by another backend."""
        backends.check(backend)
        return self._with(backend=backend)

    def at(self, *points: Point) -> EmpiricalRisk:
        """The policy for values reported at these points.

        A forced policy stays; one between two points goes over to these two, and Freeze without values takes the
        first point's and warns when the others differ. Otherwise one set of statistics freezes it, and several are
        recalibrated at every point.
        """
        policy = self._parts.statistics
        if policy is not None and not (isinstance(policy, Freeze) and policy.values is None):
            between = policy if len(points) != 2 else policy.between(*points)
            return self if between is policy else self.with_statistics(between)
        if not self._parts.network.normalised or not points:
            return self if policy is not None else self.with_statistics(self._frozen(*points[:1]))
        mixed = differ(self._parts.network, points)
        if policy is None and mixed:
            return self.with_statistics(Recalibrate())
        if mixed:
            warnings.warn(
                f"statistics of {len(points)} points differ and freeze uses those of {points[0].name!r}: "
                "losses of the others are not their own; --statistics recalibrate estimates each",
                StatisticsWarning,
                stacklevel=2,
            )
        return self.with_statistics(self._frozen(points[0]))

    def training(self) -> EmpiricalRisk:
        """The policy of a training step: Batch, unless one with derivatives is forced."""
        forced = self._parts.statistics
        if not self._parts.network.normalised or (forced is not None and forced.derivatives):
            return self
        return self.with_statistics(Batch())

    def reporting(self) -> EmpiricalRisk:
        """The policy for values at points that move: Recalibrate, unless one is forced."""
        if not self._parts.network.normalised or self._parts.statistics is not None:
            return self
        return self.with_statistics(Recalibrate())

    def point(self, theta: Tensor | np.ndarray | Point, name: str = "theta") -> Point:
        """Theta as a Point; a bare tensor of a normalising network gets statistics by recalibration."""
        if isinstance(theta, Point):
            return theta
        vector = self.space.check(theta)
        if not self._parts.network.normalised:
            return Point(vector, self._parts.network.buffers or None, name)
        buffers = self._parts.network.recalibrated(self.space.unravel(vector), self._parts.calibration)
        return Point(vector, buffers, name)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> EmpiricalRisk:
        """The same risk in another dtype or on another device; data and loss weights move along."""
        dtype, target = dtype or self.space.dtype, torch.device(device) if device else self.space.device
        p = self._parts
        moved = [replace(b, table=b.table.to(dtype, target)) for b in (p.blocks, p.calibration)]
        space = p.space.to(dtype, target)
        return self._with(
            network=p.network.to(dtype, target),
            space=space,
            initial=replace(p.initial, theta=space.check(p.initial.theta)),
            loss=p.loss.to(dtype, target),
            measured=p.measured.to(p.probe, target),
            blocks=moved[0],
            calibration=moved[1],
            test=None if p.test is None else p.test.to(dtype, target),
        )

    def fingerprint(self) -> Fingerprint:
        """Shapes, data, policy, and F at two fixed points under the module's own statistics."""
        if not self._probes:
            generator = Stream(0, ("fingerprint",)).torch()
            thetas = 0.1 * torch.randn(2, self.space.size, generator=generator, dtype=torch.float64)
            plain = self.with_statistics(Freeze()).with_backend("loop")
            self._probes.extend(plain.losses(thetas.to(self.initial.theta)).tolist())
        digest = self._parts.blocks.table.digest
        return Fingerprint(self.space.fingerprint, digest, self.statistics_name, tuple(self._probes))

    @property
    def passes(self) -> float:
        """One, and the calibration rows once more where statistics are estimated at every point."""
        calibrates = self._parts.network.normalised and self._parts.policy.calibrates
        return 1.0 + (self._parts.calibration.table.count / self.row_count if calibrates else 0.0)

    @property
    def statistics_name(self) -> str:
        """The normalisation policy in words; empty where there is nothing to normalise."""
        return str(self._parts.policy) if self._parts.network.normalised else ""

    @property
    def network(self) -> Network:
        """The functional view of the module."""
        return self._parts.network

    @property
    def table(self) -> Table:
        """The rows."""
        return self._parts.blocks.table

    @property
    def backend(self) -> tuple[str, str]:
        """What evaluates F over many points, and why; the gradients' where both were taken."""
        kinds = [k for k in ("gradients", "values") if self._key(k) in self._choices]
        if not kinds and self._parts.backend == AUTO:
            return Loop.name, "one point at a time"
        chosen = self._choice(kinds[0] if kinds else "values", 2)
        return chosen.backend.name, chosen.reason

    def road(self, subspace: Subspace) -> tuple[str, str]:
        """What evaluates F on a subspace, and why."""
        chosen = self._on(subspace)
        return chosen.backend.name, chosen.reason

    def measured(self, subspace: Subspace | None = None) -> dict[str, Any]:
        """The backends chosen so far, or the one of a subspace, which is chosen now if need be."""
        if subspace is not None:
            return self._on(subspace).measured
        return {
            key: chosen.measured for key, chosen in self._choices.items() if key.startswith(("values", "gradients"))
        }

    def obey(self, measured: Mapping[str, Any], subspace: Subspace | None = None) -> None:
        """Use the backends that were measured when a study was begun."""
        if subspace is not None:
            if "choice" not in subspace.kept or subspace.kept["choice"].measured != measured:
                subspace.kept["choice"] = backends.again(measured, self._parts.work(metrics=True))
        else:
            self._settled.update(measured)

    @property
    def numerics(self) -> dict[str, Any]:
        """As for every objective, and how rows and points are cut."""
        cut = {"row_blocks": self._parts.blocks.bounds[0][1], "backend": self._parts.backend}
        frozen = self._parts.policy.digest() if self._parts.network.normalised else ""
        return {**super().numerics, **cut, "rows": self.row_count, "statistics_values": frozen}

    def _key(self, kind: str) -> str:
        return f"{kind} {self.statistics_name}"

    def _choice(self, kind: str, points: int) -> Choice:
        """What evaluates this many unrelated points; one point is the loop's unless a backend was asked for."""
        if points == 1 and self._parts.backend == AUTO:
            return Choice(Loop(), "one point at a time")
        key = self._key(kind)
        if key not in self._choices and key in self._settled:
            self._choices[key] = backends.again(self._settled[key], self._parts.work(metrics=True))
        if key not in self._choices:
            generator = Stream(0, ("backend",)).torch()

            def draw(count: int) -> Tensor:
                noise = torch.randn(count, self.space.size, generator=generator, dtype=torch.float64)
                return self.initial.theta + 0.01 * noise.to(self.initial.theta)

            self._choices[key] = self._chosen(draw, gradients=kind == "gradients")
        return self._choices[key]

    def _on(self, subspace: Subspace) -> Choice:
        """What evaluates points of a subspace; another that moves the same tensors is evaluated alike."""
        key = self._key(f"{subspace.k} over {','.join(f'{n}{w}' for n, w in subspace.touched.items())}")
        if "choice" not in subspace.kept and key in self._choices:
            subspace.kept["choice"] = self._choices[key]
        if "choice" not in subspace.kept:
            generator = Stream(0, ("backend",)).torch()

            def draw(count: int) -> Located:
                return Located(
                    subspace, 2 * torch.rand(count, subspace.k, generator=generator, dtype=torch.float64) - 1
                )

            subspace.kept["choice"] = self._choices[key] = self._chosen(draw)
        chosen: Choice = subspace.kept["choice"]
        return chosen

    def _chosen(self, draw: backends.Draw, *, gradients: bool = False) -> Choice:
        asked = self._parts.backend
        work = self._parts.work(metrics=not gradients)
        found = backends.choose(asked, work, draw, self.tolerance, gradients=gradients)
        if asked not in (AUTO, found.backend.name):
            warnings.warn(f"the loop runs instead of {asked}: {found.reason}", BackendWarning, stacklevel=3)
        return found

    def _frozen(self, point: Point | None = None) -> Freeze:
        if point is None or point.statistics is None:
            return Freeze(self._parts.network.buffers)
        own = {name: value.to(self.space.device) for name, value in point.statistics.items()}
        return Freeze({n: v.to(self.space.dtype) if v.is_floating_point() else v for n, v in own.items()}, point.name)

    def _derivatives(self, what: str) -> None:
        if self._parts.network.normalised and not self._parts.policy.derivatives:
            raise StatisticsError(
                f"{what} are not offered under the policy {self._parts.policy}: use freeze or batch "
                "(--statistics freeze), or give one point with its own statistics"
            )

    def _named(self, theta: Tensor | Point) -> tuple[dict[str, Tensor], Buffers]:
        objective = self.at(theta) if isinstance(theta, Point) else self
        named = self.space.unravel(self.space.check(theta_of(theta)))
        return named, objective._parts.buffers(named)


def _probed(
    loss: Any, template: Tree, block: Table, space: ParameterSpace, normaliser: str | None
) -> tuple[RowLoss, torch.dtype]:
    """The loss as a sum over rows, and the dtype in which it could be probed: float64 where it allows."""
    kinds = [torch.float64] if space.dtype == torch.float64 else [torch.float64, space.dtype]
    for dtype in kinds:
        outputs = drawn(template, block.count, Stream(0, ("loss",)).torch(), dtype)
        targets = block.to(dtype, space.device).targets
        try:
            return row_loss(convert(loss, dtype, space.device), outputs, targets, normaliser), dtype
        except ThalwegError:
            raise
        except Exception as error:  # whatever the user's loss raises becomes one line, with its own words
            failure = error
    line = str(failure).strip().splitlines()[0] if str(failure).strip() else type(failure).__name__
    shapes = ", ".join(f"{n} {list(x.shape)} {x.dtype}" for n, x in leaves(targets, "targets"))
    raise LossError(f"the loss fails on outputs like the model's and {shapes}: {line}") from failure
