"""What is the same on the backends that take functions to functions, PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Callable


def forward_mode(apply: Callable, jvp: Callable, zeros_like: Callable) -> Callable:
    """``apply(op, x, **m)`` and its derivative along `dx` and `dm`, None standing for zero, as a function of these."""

    def along(op, x, dx, m=None, dm=None):
        m, dm = m or {}, dm or {}
        dx = zeros_like(x) if dx is None else dx
        tangents = dx, {name: dm[name] if name in dm else zeros_like(a) for name, a in m.items()}
        return jvp(lambda x, m: apply(op, x, **m), (x, m), tangents)

    return along


def layer_jvp(layer, x, dx, m, dm):
    """The ``jvp`` of a :class:`seisops.bridge.conformance.Framework`."""
    return layer.jvp(x, dx, m, dm)[1]


def own_cells(layer, x, y, kept):
    """None: the suite of the backend's own adapter tries what it asks of a layer."""
    return ()
