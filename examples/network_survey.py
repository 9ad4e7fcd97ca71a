"""The survey that the network examples of both frameworks put between their layers."""

from __future__ import annotations

import numpy as np

import seisops as so


def operators(dtype: str = "float32"):
    """F, E = Pr A Pw.H, the source and the model, small enough to look at."""
    model = so.Model(v=np.linspace(1.6, 2.6, 30) * np.ones((40, 1)), spacing=15.0, dtype=dtype)
    src = so.Geometry.line(np.linspace(40.0, 540.0, 2), depth=20.0, dt=4.0, t=400.0)
    rec = so.Geometry.spread(np.linspace(10.0, 570.0, 20), depth=25.0, nsrc=2, dt=4.0, t=400.0)
    Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    q = so.ricker(src, 0.012)
    Pw = so.LRWF(model, rec, so.ricker(rec[0], 0.012)[0])
    return so.modeling(model, src, rec), Pr @ A @ Pw.H, q, model
