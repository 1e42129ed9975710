"""The list of commands, grouped by the question that they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from click import Context, HelpFormatter

QUESTIONS: dict[str, tuple[str, ...]] = {
    "What does the surface look like?": ("plane", "line", "simplex", "topology", "compare"),
    "What kind of point is this, and which theorems hold there?": ("critical", "spectrum", "kernel", "audit"),
    "Where does it lead from here?": ("down", "rays", "escape"),
    "Are there low paths between networks?": ("connect", "align", "graph", "complex"),
    "What does training do?": ("train", "trajectory", "instability", "ensemble"),
    "All of it on one page, or the figure of a paper": ("atlas", "reproduce"),
    "What is there already?": ("show", "export", "zoo"),
}
"""Commands by the question that a user comes with."""

OTHERS = "More"


class Overview(TyperGroup):
    """The parser's group of commands, with each command's whole first sentence under its question."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # type: ignore[override]
        """Write the sections."""
        listed = {name for names in QUESTIONS.values() for name in names}
        left = tuple(name for name in self.commands if name not in listed)
        width = max(len(name) for name in self.commands)
        for question, names in (*QUESTIONS.items(), (OTHERS, left)):
            rows = [(name.ljust(width), _first(self.commands[name])) for name in names if name in self.commands]
            if rows:
                formatter.write_paragraph()
                formatter.write(f"{question}\n")
                with formatter.indentation():
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:  # type: ignore[override]
        """Say where to go on."""
        formatter.write_paragraph()
        formatter.write_text("Begin with: thalweg atlas digits")
        formatter.write_text("Options and an example of a command: thalweg plane --help")


def _first(command: Any) -> str:
    """The first paragraph of a command's help."""
    return " ".join((command.help or "").split("\n\n")[0].split())
