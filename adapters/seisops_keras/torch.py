"""What a backend gives, for Keras on PyTorch."""

from __future__ import annotations

import torch
from seisops_torch import apply
from seisops_torch.check import gradient, inner, run, tensor

from seisops.bridge.conformance import Framework

__all__ = ["FRAMEWORKS", "apply", "jvp", "own_cells"]


def jvp(op, x, dx, m=None, dm=None):
    """``apply(op, x, m)`` and its derivative along `dx` and `dm`, None standing for zero."""
    primals, tangents = [x], [torch.zeros_like(x) if dx is None else dx]
    if m is not None:
        primals.append(m)
        tangents.append(torch.zeros_like(m) if dm is None else dm)
    return torch.func.jvp(lambda *at: apply(op, *at), tuple(primals), tuple(tangents))


def _jvp(layer, x, dx, m, dm):
    return layer.jvp(x, dx, m, dm)[1]


FRAMEWORKS = {"": Framework(run, gradient, tensor, inner, _jvp)}


def own_cells(layer, x, y, kept):
    """None: ``seisops_torch.check`` tries what PyTorch asks of a layer."""
    return ()
