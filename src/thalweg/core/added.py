"""What installed packages add by their entry points: found by name at once, imported when it is used."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, final

from thalweg.errors import InputError


@final
@dataclass(frozen=True)
class Added:
    """A class or constructor of another package; calling it calls what the entry point names."""

    entry: EntryPoint

    def load(self) -> Any:
        """What the entry point names.

        Raises
        ------
        InputError
            If it cannot be imported.
        """
        try:
            return self.entry.load()
        except Exception as error:  # whatever another package raises while it is imported
            raise InputError(
                f"{self.entry.group} {self.entry.name!r}: {self.entry.value} cannot be loaded ({error}); "
                "mend or uninstall the package that adds it"
            ) from error

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Load it, and call it."""
        return self.load()(*arguments, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.load())


def added(group: str, ours: Collection[str] = ()) -> dict[str, Added]:
    """What installed packages add to a group of entry points, by name.

    Raises
    ------
    InputError
        If a name is one of ours.
    """
    found = {entry.name: Added(entry) for entry in entry_points(group=group)}
    for name, one in found.items():
        if name in ours:
            raise InputError(f"{group} {name!r}: {one.entry.value} has the name of another; rename or uninstall it")
    return found
