"""Every reproduction by its name: made from its defaults, listed, and refused in one line where the name is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from thalweg.cli import app
from thalweg.core.objective import Objective
from thalweg.core.rng import stream
from thalweg.errors import InputError
from thalweg.records import Cost, Finding, Reproduction, ReproductionStatus
from thalweg.reproductions import REPRODUCTIONS, Published, build
from thalweg.zoo import double_well


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_name_makes_a_reproduction_that_says_what_it_is(name: str) -> None:
    cls = REPRODUCTIONS[name]
    made = build(name)
    assert type(made) is cls and made == build(name)
    assert len(cls.paper) >= 10 and len(cls.what()) >= 40 and "\n" not in cls.what()
    assert 0 < cls.seconds <= 180  # under three minutes of one processor with the default settings


def _asked(name: str, *given: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["reproduce", name, "--json", *given])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("saxe_2014", ()),
        ("symmetries", ("widths=[3]", "starts=2", "steps=5")),
        ("figure_8", ("cells=5", "steps=20", "widths=[2]")),
        ("gradient_starvation", ("shares=[0,1]", "rare=0.5", "time=10", "steps=50")),
        ("success_probability", ("widths=[1,2]", "starts=20", "steps=20", "rows=4")),
    ],
)
def test_the_command_runs_with_other_settings_and_answers_as_json(name: str, given: tuple[str, ...]) -> None:
    found = _asked(name, *(x for pair in given for x in ("--set", pair)))
    assert found["record"] is None and found["status"] in ReproductionStatus.__members__
    assert found["rows"] and {"claim", "published", "ours", "interval", "agrees"} <= set(found["rows"][0])


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_name_is_run_by_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed is replaced by one row; the name, its defaults and its answer go their way."""
    cls, well = REPRODUCTIONS[name], double_well()

    def computed(self: Published, *, rng: Any = 0, evaluate: Any = None, budget: Any = None) -> Reproduction:
        rows = [Finding("one", name, 1.0, 1.0, None, True)]
        return self.record(well, stream(rng), rows, rule="equal", data={}, cost=Cost())

    monkeypatch.setattr(cls, "subject", lambda self, rng=0: well)
    monkeypatch.setattr(cls, "__call__", computed)
    found = _asked(name)
    assert found["status"] == "AGREES" and [row["source"] for row in found["rows"]] == [name]


@pytest.mark.parametrize("name", ["kramers", "saxe_2014", "symmetries"])
def test_the_landscape_of_a_reproduction_can_be_had_without_running_it(name: str) -> None:
    assert isinstance(build(name).subject(), Objective)


def test_the_list_names_all_with_their_parameters_as_json_and_as_text() -> None:
    found = json.loads(CliRunner().invoke(app, ["reproduce", "--list", "--json"]).stdout)
    by_name = {entry["name"]: entry for entry in found["reproductions"]}
    assert found["status"] == "LISTED" and set(by_name) == set(REPRODUCTIONS)
    assert by_name["kramers"]["parameters"]["walkers"] == 200 and "paper" not in by_name["kramers"]["parameters"]
    text = CliRunner().invoke(app, ["reproduce", "--list"]).stdout
    for name, cls in REPRODUCTIONS.items():
        assert name in text and cls.paper in text and cls.what() in text


@pytest.mark.parametrize("given", [(), ("--list", "kramers")])
def test_a_name_or_the_list_is_asked_for(given: tuple[str, ...]) -> None:
    failed = CliRunner().invoke(app, ["reproduce", *given])
    assert isinstance(failed.exception, InputError) and "--list" in str(failed.exception)


def test_an_unknown_name_is_told_its_neighbour() -> None:
    with pytest.raises(InputError, match="kramers"):
        build("kramer")
