"""The earth as a trainable module."""

from __future__ import annotations

import torch
from torch import nn

from seisops import Model
from seisops.inversion.bounds import check_bounds


class VelocityModel(nn.Module):
    """Velocity as an ordinary parameter; calling the module gives the squared slowness for a layer.

    Parameters
    ----------
    model : Model
        Where to start.
    bounds : (float, float) or pair of arrays, km/s, optional
        The velocity is put back between them before every use.

    Attributes
    ----------
    v : Parameter of ``model.shape``, km/s

    Raises
    ------
    ValueError
        For bounds that exclude where to start, or go beyond the velocity that the model's time step carries.

    Examples
    --------
    >>> import numpy as np, torch, seisops as so
    >>> earth = VelocityModel(so.Model(v=np.full((21, 11), 2.0), spacing=10, vmax=4.5), bounds=(1.5, 4.5))
    >>> earth().shape
    torch.Size([21, 11])
    """

    def __init__(self, model: Model, bounds: tuple | None = None) -> None:
        super().__init__()
        check_bounds(model, {} if bounds is None else {"v": bounds})
        self.v = nn.Parameter(torch.from_numpy(model.v.copy()))
        low, high = (0.0, float("inf")) if bounds is None else bounds
        self.register_buffer("low", torch.as_tensor(low, dtype=self.v.dtype))
        self.register_buffer("high", torch.as_tensor(high, dtype=self.v.dtype))

    def forward(self) -> torch.Tensor:
        """The squared slowness 1/v², s²/km²."""
        # Not an operation on `v` that autograd counts: a second call would forbid the backward of the first.
        self.v.data.clamp_(self.low, self.high)
        return self.v**-2
