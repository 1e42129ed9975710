"""How a sequence enters a network: tokens by an embedding, vectors by a linear map."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from thalweg.errors import InputError
from thalweg.zoo.networks.layers import check_counts


def entrance(vocabulary: int | None, features: int | None) -> Callable[[int], nn.Module]:
    """What makes the first layer of a given width: of exactly one of the two, the other is None.

    Raises
    ------
    InputError
        If both or none are given, or the one is below 1.
    """
    if (vocabulary is None) == (features is None):
        raise InputError(
            f"vocabulary={vocabulary} and features={features}: give exactly one, "
            "vocabulary for tokens [n, length] or features for vectors [n, length, features]"
        )
    if vocabulary is not None:
        check_counts(vocabulary=vocabulary)
        size = vocabulary
        return lambda width: nn.Embedding(size, width)
    assert features is not None
    check_counts(features=features)
    inside = features
    return lambda width: nn.Linear(inside, width)
