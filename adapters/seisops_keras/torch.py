"""The two functions of a backend, for Keras on PyTorch."""

from __future__ import annotations

import torch
from seisops_torch import apply

__all__ = ["apply", "jvp"]


def jvp(op, x, dx, m=None, dm=None):
    """``apply(op, x, m)`` and its derivative along `dx` and `dm`, None standing for zero."""
    primals, tangents = [x], [torch.zeros_like(x) if dx is None else dx]
    if m is not None:
        primals.append(m)
        tangents.append(torch.zeros_like(m) if dm is None else dm)
    return torch.func.jvp(lambda *at: apply(op, *at), tuple(primals), tuple(tangents))
