"""What importing costs: milliseconds of a fresh interpreter, medians of nine."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "(an empty interpreter)": "pass",
    "import thalweg": "import thalweg",
    "thalweg --help": "import sys; sys.argv = ['thalweg', '--help']\nfrom thalweg.cli import main\nmain()",
    "import thalweg.records": "import thalweg.records",
    "import torch": "import torch",
    "thalweg.EmpiricalRisk": "import thalweg; thalweg.EmpiricalRisk",
}


def milliseconds(code: str) -> float:
    """One fresh interpreter running ``code``."""
    clock = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - clock)


def main(repeats: int = 9) -> None:
    """Print the table."""
    print(f"{'':28}  median ms")
    for name, code in STATEMENTS.items():
        milliseconds(code)  # warms the file cache
        print(f"{name:28}  {statistics.median(milliseconds(code) for _ in range(repeats)):9.0f}")


if __name__ == "__main__":
    main()
