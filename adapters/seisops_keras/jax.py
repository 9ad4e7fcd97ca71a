"""What a backend gives, for Keras on JAX."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from seisops_jax import apply
from seisops_jax.check import FRAMEWORKS as OF_JAX

__all__ = ["FRAMEWORKS", "apply", "jvp", "own_cells"]


def jvp(op, x, dx, m=None, dm=None):
    """``apply(op, x, m)`` and its derivative along `dx` and `dm`, None standing for zero."""
    primals, tangents = [x], [jnp.zeros_like(x) if dx is None else dx]
    if m is not None:
        primals.append(m)
        tangents.append(jnp.zeros_like(m) if dm is None else dm)
    return jax.jvp(lambda *at: apply(op, *at), tuple(primals), tuple(tangents))


def _jvp(layer, x, dx, m, dm):
    return layer.jvp(x, dx, m, dm)[1]


FRAMEWORKS = {mode: replace(framework, jvp=_jvp) for mode, framework in OF_JAX.items()}


def own_cells(layer, x, y, kept):
    """None: ``seisops_jax.check`` tries what JAX asks of a layer."""
    return ()
