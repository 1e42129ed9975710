"""How numbers are rounded: the dtype, and the coarser products that torch may be told to use for float32.

Nothing here is switched on by itself. Pictures may be drawn in bfloat16 or with TF32 products; gaps, ranks and
curvature may not (bfloat16 weights alone move a trained loss of 2e-3 by some 0.3 %).
"""

from __future__ import annotations

import torch

_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}
_PRODUCTS = {"high": ("products in TF32", 1e-3), "medium": ("products in bfloat16", 1e-2)}


def _coarse(dtype: torch.dtype) -> tuple[str, float] | None:
    return _PRODUCTS.get(torch.get_float32_matmul_precision()) if dtype == torch.float32 else None


def named(dtype: torch.dtype) -> str:
    """The dtype in words, with what ``torch.set_float32_matmul_precision`` makes of float32 products."""
    name, coarse = str(dtype).removeprefix("torch."), _coarse(dtype)
    return name if coarse is None else f"{name}, {coarse[0]}"


def tolerance(dtype: torch.dtype) -> float:
    """Relative rounding that values of F carry."""
    coarse = _coarse(dtype)
    return _TOLERANCE.get(dtype, 1e-2) if coarse is None else coarse[1]
