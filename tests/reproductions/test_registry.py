"""Every reproduction by its name: made from its defaults, listed, and refused in one line where the name is wrong."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from thalweg.cli import app
from thalweg.core.objective import Objective
from thalweg.errors import InputError
from thalweg.reproductions import REPRODUCTIONS, build


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_name_makes_a_reproduction_that_says_what_it_is(name: str) -> None:
    cls = REPRODUCTIONS[name]
    made = build(name)
    assert type(made) is cls and made == build(name)
    assert len(cls.paper) >= 10 and len(cls.what()) >= 40 and "\n" not in cls.what()
    assert 0 < cls.seconds <= 180  # under three minutes of one processor with the default settings


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
