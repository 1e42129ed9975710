"""The record: a frozen answer with its status, guarantee, cost and provenance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from thalweg.errors import InputError
from thalweg.records.bracket import Guarantee
from thalweg.records.cost import Cost
from thalweg.records.provenance import Provenance
from thalweg.records.status import Status


@dataclass(frozen=True, kw_only=True, eq=False)
class Record(ABC):
    """Base of every answer: named arrays plus metadata that JSON can hold.

    ``data`` holds every array by name and is read-only; all other fields are scalars, strings, tuples
    and small dataclasses. Numbers that follow from them are properties, never fields.

    Raises
    ------
    InputError
        If an array named in ``required`` is missing.
    """

    record_type: ClassVar[str]
    schema: ClassVar[int] = 1
    required: ClassVar[tuple[str, ...]] = ()

    data: Mapping[str, np.ndarray]
    status: Status
    cost: Cost
    provenance: Provenance

    def __post_init__(self) -> None:
        missing = [name for name in self.required if name not in self.data]
        if missing:
            raise InputError(
                f"a {self.record_type} record needs the array {missing[0]!r} and has {sorted(self.data)}: add it"
            )
        frozen = {}
        for name, value in self.data.items():
            array = value if _settled(value) else np.array(value)  # a copy: the caller's array stays writable
            array.setflags(write=False)
            frozen[name] = array
        object.__setattr__(self, "data", MappingProxyType(frozen))

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by name; read-only views, shapes as in the record's own docstring."""
        return dict(self.data)

    @property
    @abstractmethod
    def guarantee(self) -> Guarantee | None:
        """How sure the answer is; ``None`` where nothing is claimed."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The answer in one sentence with its numbers."""

    @property
    def message(self) -> str:
        """How the computation ended, with the remedy where it fell short."""
        return self.status.message


def _settled(value: object) -> bool:
    """Whether an array is one that a record has frozen already: shared then, because a point may be gigabytes."""
    return type(value) is np.ndarray and value.flags.owndata and not value.flags.writeable
