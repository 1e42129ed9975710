"""What every contract is: checks by name that pytest collects, and that run without it too."""

from __future__ import annotations

import unittest
from abc import ABC
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor


class Contract(ABC):  # noqa: B024  (what make takes depends on what is examined)
    """Base of every contract: ``make`` gives what is examined, and each method ``test_…`` is one thing it must keep.

    Subclass it under a name that begins with ``Test`` and pytest runs every check (``pip install pytest``); or call
    :meth:`certify`, which needs nothing but this package. A check that does not apply is skipped, with the reason.
    """

    @classmethod
    def checks(cls) -> list[str]:
        """The names of the checks, in the order in which they are written."""
        return [name for c in reversed(cls.__mro__) for name in vars(c) if name.startswith("test_")]

    def certify(self) -> dict[str, str]:
        """Run every check; returns those that were skipped, each with its reason.

        Raises
        ------
        AssertionError
            If one is not kept; every one that is broken is named, with what was found.
        """
        skipped: dict[str, str] = {}
        broken: list[str] = []
        for name in dict.fromkeys(self.checks()):
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                skipped[name] = str(reason)
            except Exception as error:  # whatever a stranger's code raises is a finding
                kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                broken.append(f"{name}: {kind}{error}")
        if broken:
            raise AssertionError(f"{len(broken)} checks of {type(self).__name__} are broken:\n" + "\n".join(broken))
        return skipped


def certified(contract: type[Contract], make: Callable[..., Any]) -> dict[str, str]:
    """Run a contract on what ``make`` gives, without a class of one's own."""
    return type(contract.__name__, (contract,), {"make": staticmethod(make)})().certify()


def keeps(held: bool, what: str) -> None:
    """Raise AssertionError with ``what`` is broken unless it held."""
    if not held:
        raise AssertionError(what)


def skip(reason: str) -> NoReturn:
    """Leave a check out that does not apply here."""
    raise unittest.SkipTest(reason)


def close(found: Tensor, expected: Tensor, rtol: float, atol: float, what: str) -> None:
    """Raise AssertionError, with the largest difference, unless two tensors agree in shape and value."""
    keeps(found.shape == expected.shape, f"{what}: the shape is {list(found.shape)}, not {list(expected.shape)}")
    a, b = found.detach().double(), expected.detach().double()
    if not torch.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
        raise AssertionError(
            f"{what}: off by {float((a - b).abs().max()):.3g} where values are {float(b.abs().max()):.3g}"
        )


def same(found: Any, expected: Any, what: str) -> None:
    """Raise AssertionError unless two arrays are the same bit for bit, every NaN included."""
    a, b = np.asarray(found), np.asarray(expected)
    keeps(a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.dtype}{list(a.shape)}, not {b.dtype}{list(b.shape)}")
    keeps(a.tobytes() == b.tobytes(), f"{what}: it differs in {int((a != b).sum())} of {a.size} values")


def refuses(call: Callable[[], Any], error: type[Exception], what: str) -> None:
    """Raise AssertionError unless a call raises this error, in one line."""
    try:
        call()
    except error as refusal:
        keeps("\n" not in str(refusal) and str(refusal) != "", f"{what}: the refusal is not one line: {refusal}")
    except Exception as other:
        raise AssertionError(f"{what}: it raised {type(other).__name__} ({other}), not {error.__name__}") from other
    else:
        raise AssertionError(f"{what}: it was not refused; raise thalweg.errors.{error.__name__}")
