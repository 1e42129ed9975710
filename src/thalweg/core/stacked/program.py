"""A network as a list of steps that can be run for many points at once.

The forward pass is traced by torch.fx. A step whose value does not depend on the point is computed once for all of
them (prefix cache); one that is affine in a subspace's coefficients is computed once as a constant and a part per
direction (affine prefix); the others run for a chunk of points at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from thalweg.core.network import Network
from thalweg.core.stacked.functions import LAYERS, call, module_rule, over_points, writes
from thalweg.core.stacked.layers import Unsupported, folded, frozen_norm
from thalweg.core.stacked.values import Late, Stack, Value, mapped
from thalweg.core.tree import Tree

Parameters = Callable[[str], Value]
"""The value of a parameter or buffer by its full name."""


@dataclass(frozen=True)
class Step:
    """``run(args, kwargs, parameters)`` with the arguments of ``source`` gives the value of ``node``."""

    node: fx.Node
    source: fx.Node
    run: Callable[[tuple[Value, ...], Mapping[str, Value], Parameters], Value]

    @cached_property
    def reads(self) -> list[fx.Node]:
        """The nodes whose values it takes."""
        return self.source.all_input_nodes


@dataclass
class Prefix:
    """Values of the steps that were run before the coefficients were known, and the steps that are left.

    ``last`` says which values nothing reads after a step.
    """

    values: dict[fx.Node, Value]
    late: list[Step]
    last: Mapping[int, Sequence[fx.Node]]

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return sum(_bytes(value) for value in self.values.values())


@dataclass(frozen=True)
class Program:
    """The steps of a network's forward pass. ``fold`` runs a BatchNorm inside the layer before it."""

    steps: tuple[Step, ...]
    output: Any
    inputs: tuple[tuple[fx.Node, str], ...]
    absent: Mapping[str, Any]

    @classmethod
    def of(cls, network: Network, inputs: Tree, *, fold: bool = True) -> Program:
        """Trace a network as it is called on these inputs.

        Raises
        ------
        Unsupported
            If the forward pass cannot be traced; the message quotes torch.fx.
        """
        module = network.module
        if module._forward_hooks or module._forward_pre_hooks:
            raise Unsupported("the module has forward hooks")
        absent = _absent(module, *network.arguments(inputs))
        try:
            graph = _chain(module) or fx.Tracer().trace(module, concrete_args=absent)
        except Exception as error:  # whatever tracing a user's forward raises, another backend can still run it
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise Unsupported(f"torch.fx cannot trace the forward pass ({line})") from error
        names = {id(p): name for name, p in reversed(list(module.named_parameters(remove_duplicate=False)))}
        alias = {name: names[id(p)] for name, p in module.named_parameters(remove_duplicate=False)}
        return _compiled(module, graph, alias, absent, fold)

    def prefix(self, args: Sequence[Tree], kwargs: Mapping[str, Tree], parameters: Parameters) -> Prefix:
        """Run every step that does not need the coefficients; arguments as the module takes them."""
        given = {**self.absent, **dict(zip((name for _, name in self.inputs), args, strict=False)), **kwargs}
        values: dict[fx.Node, Value] = {node: given[name] for node, name in self.inputs}
        late: list[Step] = []
        missing: set[fx.Node] = set()
        for step in self.steps:
            if missing.isdisjoint(step.reads):
                try:
                    values[step.node] = _run(step, values, parameters)
                    continue
                except Late:
                    pass
            missing.add(step.node)
            late.append(step)
        wanted = {node for step in late for node in step.reads} | set(_nodes(self.output))
        kept = {node: value for node, value in values.items() if node in wanted}
        return Prefix(kept, late, _last_uses(late, self.output))

    def finish(
        self,
        prefix: Prefix,
        parameters: Parameters,
        weights: Callable[[Stack], Tensor],
        see: Callable[[Value], None] | None = None,
    ) -> Tree:
        """Run the steps that are left for a chunk of points; ``weights`` gives an affine value's [B, m].

        ``see`` is shown every value that is made. Leaves of the output are stacks, or tensors where no point
        differs from another.
        """
        values = dict(prefix.values)

        def known(value: Any) -> Any:
            return value.at(weights(value)) if isinstance(value, Stack) and value.which is not None else value

        def read(node: fx.Node) -> Value:
            values[node] = mapped(known, values[node])
            return values[node]

        for i, step in enumerate(prefix.late):
            for node in step.reads:
                read(node)
            values[step.node] = _run(step, values, parameters)
            if see is not None:
                see(values[step.node])
            for node in prefix.last.get(i, ()):
                values.pop(node, None)  # a chunk's values go as soon as nothing reads them
        return mapped(lambda v: read(v) if isinstance(v, fx.Node) else v, self.output)


_TRACED: WeakKeyDictionary[nn.Module, dict[Any, Program | str]] = WeakKeyDictionary()
"""Programs, and why there is none, by module."""


def program_of(network: Network, inputs: Tree, *, fold: bool = True) -> Program:
    """As :meth:`Program.of`; a network is traced once."""
    fold = fold or not network.normalised
    known = _TRACED.setdefault(network.module, {})
    key = fold, tuple(_absent(network.module, *network.arguments(inputs)))
    if key not in known:
        try:
            known[key] = Program.of(network, inputs, fold=fold)
        except Unsupported as error:
            known[key] = str(error)  # not the error itself: its traceback would hold all that its callers held
    found = known[key]
    if isinstance(found, str):
        raise Unsupported(found)
    return found


def _compiled(
    module: nn.Module, graph: fx.Graph, alias: Mapping[str, str], absent: Mapping[str, Any], fold: bool
) -> Program:
    steps: list[Step] = []
    inputs: list[tuple[fx.Node, str]] = []
    output: Any = None
    skipped: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            if str(node.target).startswith("*"):
                raise Unsupported(f"forward takes {node.target}")
            name = str(node.target)
            inputs.append((node, name if name.removesuffix("_1") not in absent else name.removesuffix("_1")))
        elif node.op == "output":
            output = node.args[0]
        elif node in skipped:
            continue
        elif node.op == "get_attr":
            steps.append(Step(node, node, _attribute(module, str(node.target), alias)))
        elif node.op == "call_module":
            behind = _norm_behind(module, node) if fold else None
            if behind is not None:
                skipped.add(behind)
                steps.append(Step(behind, node, _folded(module, node, behind, alias)))
            else:
                steps.append(Step(node, node, _layer(module, node, alias)))
        else:
            _check_write(node, writes(node.target, node.kwargs))
            steps.append(Step(node, node, _called(node.target)))
    return Program(tuple(steps), output, tuple(inputs), absent)


def _run(step: Step, values: Mapping[fx.Node, Value], parameters: Parameters) -> Value:
    source = step.source
    first = source.args[0] if len(source.args) == 1 and not source.kwargs else None
    if isinstance(first, fx.Node):  # the common case, without walking the arguments
        return step.run((values[first],), {}, parameters)
    look = lambda v: values[v] if isinstance(v, fx.Node) else v  # noqa: E731
    args, kwargs = mapped(look, (source.args, dict(source.kwargs)))
    return step.run(args, kwargs, parameters)


def _called(target: Any) -> Callable[..., Value]:
    return lambda args, kwargs, parameters: call(target, args, kwargs)


def _attribute(module: nn.Module, name: str, alias: Mapping[str, str]) -> Callable[..., Value]:
    known = {**dict(module.named_buffers()), **alias}
    if name in known:
        return lambda args, kwargs, parameters: parameters(alias.get(name, name))
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    return lambda args, kwargs, parameters: value


def _layer(module: nn.Module, node: fx.Node, alias: Mapping[str, str]) -> Callable[..., Value]:
    """A leaf module by its own rule, or by vmap over the points."""
    name = str(node.target)
    leaf = module.get_submodule(name)
    _check_write(node, bool(getattr(leaf, "inplace", False)))
    own = {k: alias[f"{name}.{k}"] for k, _ in leaf.named_parameters(remove_duplicate=False)}
    own |= {k: f"{name}.{k}" for k, _ in leaf.named_buffers()}
    plain = not (leaf._forward_hooks or leaf._forward_pre_hooks) and len(node.args) == 1 and not node.kwargs
    if plain and type(leaf) in LAYERS:
        rule = LAYERS[type(leaf)]
        return lambda args, kwargs, p: rule(leaf, _locals(own, p), args[0])
    source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
    alone = source is not None and len(source.users) == 1 and _fresh(module, source)
    simple = module_rule(leaf, alone) if plain else None
    if simple is not None:
        return lambda args, kwargs, p: simple(args[0])

    def by_vmap(args: tuple[Value, ...], kwargs: Mapping[str, Value], p: Parameters) -> Value:
        named = _locals(own, p)
        return over_points(lambda n, a, k: functional_call(leaf, n, a, k), (named, args, dict(kwargs)), {})

    return by_vmap


def _folded(module: nn.Module, node: fx.Node, behind: fx.Node, alias: Mapping[str, str]) -> Callable[..., Value]:
    def names(n: fx.Node) -> tuple[nn.Module, dict[str, str]]:
        leaf = module.get_submodule(str(n.target))
        own = {k: alias[f"{n.target}.{k}"] for k, _ in leaf.named_parameters(remove_duplicate=False)}
        return leaf, own | {k: f"{n.target}.{k}" for k, _ in leaf.named_buffers()}

    (layer, own), (norm, inside) = names(node), names(behind)
    rule = LAYERS[type(layer)]
    return lambda args, kwargs, p: folded(layer, _locals(own, p), norm, _locals(inside, p), args[0], rule)


def _norm_behind(module: nn.Module, node: fx.Node) -> fx.Node | None:
    """The frozen BatchNorm that alone reads this convolution or linear layer."""
    layer = module.get_submodule(str(node.target))
    if type(layer) not in (nn.Conv2d, nn.Linear) or len(node.users) != 1 or node.kwargs or len(node.args) != 1:
        return None
    behind = next(iter(node.users))
    if behind.op != "call_module" or behind.kwargs or len(behind.args) != 1:
        return None
    norm = module.get_submodule(str(behind.target))
    hooks = norm._forward_hooks or norm._forward_pre_hooks or layer._forward_hooks or layer._forward_pre_hooks
    tracked = getattr(norm, "running_mean", None) is not None
    return behind if LAYERS.get(type(norm)) is frozen_norm and tracked and not hooks else None


def _fresh(module: nn.Module, node: fx.Node) -> bool:
    """Whether the step makes new memory that may be overwritten."""
    return node.op == "call_module" and type(module.get_submodule(str(node.target))) in LAYERS


def _check_write(node: fx.Node, writes_to: bool) -> None:
    source = node.args[0] if node.args else None
    while writes_to and isinstance(source, fx.Node):
        if len(source.users) > 1:
            raise Unsupported(f"{node.target} changes a value in place that something else reads")
        if source.op not in ("call_method", "call_function"):
            return
        source = source.args[0] if source.args else None  # it may be a view of what it was made from


def _locals(own: Mapping[str, str], parameters: Parameters) -> dict[str, Value]:
    return {local: parameters(name) for local, name in own.items()}


def _chain(module: nn.Module) -> fx.Graph | None:
    """The graph of a Sequential of torch's own layers, as tracing would give it, without the milliseconds."""
    found = fx.Graph()
    last = found.placeholder("input")

    def follow(sequence: nn.Module, prefix: str) -> bool:
        nonlocal last
        for name, child in sequence._modules.items():  # named_children leaves out a layer that is used twice
            if child is None:
                return False
            if type(child) is nn.Sequential:
                if child._forward_hooks or child._forward_pre_hooks or not follow(child, f"{prefix}{name}."):
                    return False
            elif not type(child).__module__.startswith("torch.nn.modules"):
                return False
            else:
                last = found.create_node("call_module", f"{prefix}{name}", (last,))
        return True

    if type(module) is not nn.Sequential or not follow(module, ""):
        return None
    found.output(last)
    return found


def _absent(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of forward that are not given, at their defaults, so that `if mask is None` is traced rightly."""
    names = list(inspect.signature(module.forward).parameters.values())
    left = [p for p in names[len(args) :] if p.name not in kwargs and p.default is not inspect.Parameter.empty]
    return {p.name: p.default for p in left}


def _nodes(tree: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    mapped(lambda v: found.append(v) if isinstance(v, fx.Node) else None, tree)
    return found


def _last_uses(steps: Sequence[Step], output: Any) -> dict[int, list[fx.Node]]:
    kept = set(_nodes(output))
    last: dict[fx.Node, int] = {}
    for i, step in enumerate(steps):
        last |= dict.fromkeys(step.reads, i)
    found: dict[int, list[fx.Node]] = {}
    for node, i in last.items():
        if node not in kept:
            found.setdefault(i, []).append(node)
    return found


def _bytes(value: Value) -> int:
    data = value.data if isinstance(value, Stack) else value
    return data.numel() * data.element_size() if isinstance(data, torch.Tensor) else 0
