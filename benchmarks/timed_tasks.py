"""A command whose plan is timed: ``python -m benchmarks.timed_tasks TIMES.json COMMAND …``, also under torchrun."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from thalweg.cli import main
from thalweg.core.evaluate import Outcome, Plan
from thalweg.core.recorded import Recorded

_run = Recorded.__call__


def _timed(self: Recorded, plan: Plan) -> Outcome:
    clock = time.perf_counter()
    outcome = _run(self, plan)
    seconds = time.perf_counter() - clock
    tasks = len(self.ledger.checksums(self.name))
    Path(sys.argv[1]).write_text(json.dumps({"seconds": seconds, "work": outcome.cost.seconds, "tasks": tasks}))
    return outcome


if __name__ == "__main__":
    Recorded.__call__ = _timed  # type: ignore[method-assign]
    main(sys.argv[2:])
