"""Hessian products by another package, one burst for every line on stdin; run by that package's own interpreter.

``python product_worker.py PACKAGE FILE``. FILE holds the network, its rows and a vector. Each burst is answered by one
line that begins with RESULT, in process seconds per product. Nothing of this project is imported here.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor, nn

BURST = 4
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}

Product = Callable[[Tensor], Tensor]


def curvlinops(net: nn.Module, x: Tensor, y: Tensor) -> Product:
    from curvlinops import HessianLinearOperator

    parameters = [p for p in net.parameters() if p.requires_grad]
    hessian = HessianLinearOperator(net, nn.CrossEntropyLoss(), parameters, [(x, y)], check_deterministic=False)
    return lambda v: hessian @ v


def eigenthings(net: nn.Module, x: Tensor, y: Tensor) -> Product:
    from hessian_eigenthings.loss_fns import supervised_loss
    from hessian_eigenthings.operators import HessianOperator

    loss = supervised_loss(nn.functional.cross_entropy)
    hessian = HessianOperator(model=net, dataloader=[(x, y)], loss_fn=loss)
    return lambda v: hessian @ v


def pyhessian(net: nn.Module, x: Tensor, y: Tensor) -> Product:
    from pyhessian import hessian
    from pyhessian.utils import hessian_vector_product

    held = hessian(net, nn.CrossEntropyLoss(), data=(x, y), cuda=False)
    sizes = [p.numel() for p in held.params]

    def product(v: Tensor) -> Tensor:
        parts = [part.reshape(p.shape) for part, p in zip(v.split(sizes), held.params, strict=True)]
        return torch.cat([h.flatten() for h in hessian_vector_product(held.gradsH, held.params, parts)])

    return product


PACKAGES = {
    "curvlinops-for-pytorch": curvlinops,
    "hessian-eigenthings": eigenthings,
    "pyhessian": pyhessian,
}


def network(widths: list[int], activation: str, state: dict[str, Tensor]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Linear(a, b)] + ([ACTIVATIONS[activation]()] if i < len(widths) - 2 else [])
    net = nn.Sequential(*layers).eval()
    net.load_state_dict(state)
    return net


def main(package: str, file: str) -> None:
    """The product itself first, then process seconds for every line."""
    torch.set_num_threads(1)
    saved = torch.load(file, weights_only=True)
    net = network(saved["widths"], saved["activation"], saved["state"])
    product = PACKAGES[package](net, saved["inputs"], saved["targets"])
    torch.save(product(saved["vector"]).detach(), f"{file}.{package}")
    print("\nRESULT " + json.dumps({"version": version(package), "torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        clock = time.process_time()
        for _ in range(BURST):
            product(saved["vector"])
        print("\nRESULT " + json.dumps({"seconds": (time.process_time() - clock) / BURST}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
