"""The survey that the network examples of both frameworks put between their layers."""

from __future__ import annotations

import numpy as np

import seisops as so


def operators(dtype: str = "float32"):
    """F, E = Pr A Pw.H, the source and the model, small enough to look at."""
    model = so.Model(v=np.linspace(1.6, 2.6, 30) * np.ones((40, 1)), spacing=15.0, dtype=dtype)
    x = np.linspace(40.0, 540.0, 2)
    src = so.Geometry(np.stack([x, 0 * x + 20.0], 1)[:, None], dt=4.0, t=400.0)
    receivers = np.stack([np.linspace(10.0, 570.0, 20), np.full(20, 25.0)], 1)
    rec = so.Geometry(np.stack([receivers, receivers]), dt=4.0, t=400.0)
    Pr, Ps, A = so.Projection(model, rec), so.Projection(model, src), so.Modeling(model, rec)
    q = so.ricker(src, 0.012)
    Pw = so.LRWF(model, rec, so.ricker(rec[0], 0.012)[0])
    return Pr @ A @ Ps.H, Pr @ A @ Pw.H, q, model
