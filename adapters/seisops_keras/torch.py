"""What a backend gives, for Keras on PyTorch."""

from __future__ import annotations

import torch
from seisops_torch import apply
from seisops_torch.check import gradient, inner, run, tensor

from seisops.bridge.conformance import Framework

__all__ = ["FRAMEWORKS", "apply", "jvp", "own_cells"]


def jvp(op, x, dx, m=None, dm=None):
    """``apply(op, x, **m)`` and its derivative along `dx` and `dm`, None standing for zero."""
    m, dm = m or {}, dm or {}
    dx = torch.zeros_like(x) if dx is None else dx
    tangents = dx, {name: dm[name] if name in dm else torch.zeros_like(a) for name, a in m.items()}
    return torch.func.jvp(lambda x, m: apply(op, x, **m), (x, m), tangents)


def _jvp(layer, x, dx, m, dm):
    return layer.jvp(x, dx, m, dm)[1]


FRAMEWORKS = {"": Framework(run, gradient, tensor, inner, _jvp)}


def own_cells(layer, x, y, kept):
    """None: ``seisops_torch.check`` tries what PyTorch asks of a layer."""
    return ()
