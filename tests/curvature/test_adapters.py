"""Curvature matrices from and to curvlinops, by a stand-in of its base class; the package itself where there is one."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import Tensor

from tests.core.test_objectives import OBJECTIVES
from thalweg.core import krylov
from thalweg.core.quadrature import gauss
from thalweg.core.rng import Stream
from thalweg.curvature import Operator, from_curvlinops, to_curvlinops
from thalweg.errors import InputError


class StandIn:
    """What curvlinops 3.0.1's base class does with a matrix: cut it at the tensors, multiply, join."""

    def __init__(self, in_shape: list[tuple[int, ...]], out_shape: list[tuple[int, ...]]) -> None:
        self._in_shape = [torch.Size(s) for s in in_shape]
        size = sum(s.numel() for s in self._in_shape)
        self.shape = (size, size)

    def __matmul__(self, x: Tensor) -> Tensor:
        columns = x.reshape(self.shape[0], -1)
        parts = columns.split([s.numel() for s in self._in_shape])
        found = self._matmat([p.reshape(*s, -1) for p, s in zip(parts, self._in_shape, strict=True)])  # type: ignore[attr-defined]
        return torch.cat([f.reshape(-1, columns.shape[1]) for f in found]).reshape(x.shape)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the package itself is here; else the stand-in takes its place."""
    try:
        import curvlinops  # noqa: F401

        return True
    except ImportError:
        base = types.ModuleType("curvlinops._torch_base")
        base.PyTorchLinearOperator = StandIn  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "curvlinops", types.ModuleType("curvlinops"))
        monkeypatch.setitem(sys.modules, "curvlinops._torch_base", base)
        return False


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_there_and_back_again_is_the_same_matrix(name: str, installed: bool) -> None:
    objective = OBJECTIVES[name]().to(torch.float64)
    with Operator(objective, objective.initial, "ggn") as matrix:
        dense, there = matrix.dense(), to_curvlinops(matrix)
        assert there.shape == (matrix.size, matrix.size) and there.dtype == torch.float64
        torch.testing.assert_close(there @ torch.eye(matrix.size).double(), dense, rtol=1e-10, atol=1e-13)
        vector = torch.randn(matrix.size, generator=torch.Generator().manual_seed(0)).double()
        torch.testing.assert_close(there @ vector, dense @ vector, rtol=1e-10, atol=1e-13)
        back = from_curvlinops(there)
        pairs = krylov.lanczos(back, matrix.size, krylov.Ends(2, tol=1e-8), Stream(0))
        truth = torch.linalg.eigvalsh(dense).flip(0)[:2]
        torch.testing.assert_close(pairs.values, truth, rtol=1e-7, atol=0)
        assert gauss(back, vector, 5).nodes.max() <= truth[0] * (1 + 1e-12)


def test_what_is_not_square_or_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"shape \[3, 4\]"):
        from_curvlinops(torch.zeros(3, 4))
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    objective = OBJECTIVES["mlp"]()
    with Operator(objective, objective.initial) as matrix, pytest.raises(InputError, match="pip install curvlinops"):
        to_curvlinops(matrix)
