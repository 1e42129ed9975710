"""The remaining time is that of the work of this run."""

from __future__ import annotations

import pytest

from thalweg.exec.progress import Pace


def test_what_was_found_done_does_not_count_as_speed() -> None:
    pace = Pace()
    assert pace.left(100.0, 90, 120) is None  # a resume: 90 of 120 were there
    assert pace.left(110.0, 95, 120) == 50.0  # 5 in 10 s, 25 to go
    assert pace.left(130.0, 120, 120) == 0.0


@pytest.mark.parametrize("interval", [1.0, 3600.0])
def test_tasks_of_any_length_are_foretold(interval: float) -> None:
    pace = Pace()
    left = [pace.left(i * interval, i, 10) for i in range(11)]
    assert left[0] is None and left[1:] == [(10 - i) * interval for i in range(1, 11)]


def test_an_unknown_total_has_no_end() -> None:
    pace = Pace()
    assert pace.left(0.0, 0, 0) is None and pace.left(1.0, 7, 0) is None


def test_a_bar_is_drawn_where_somebody_watches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    import sys

    from thalweg.exec import bar

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with bar("plane") as watch:
        assert watch is not None
        watch(4, 10)
        watch(7, 10)
    with bar("plane", enabled=False) as watch:
        assert watch is None
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with bar("plane") as watch:
        assert watch is None  # rank 0 draws it
