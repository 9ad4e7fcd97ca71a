"""The parameters of any medium as a trainable module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from seisops import Model


class EarthModel(nn.Module):
    """Parameters of a medium as ordinary parameters: ``layer(x, **earth())``.

    Parameters
    ----------
    model : Model
        Where to start.
    names : str or sequence of str
        Which parameters are trained, by any name that ``model.at`` takes; the others stay the model's.
    bounds : dict of str to (low, high), optional
        Numbers or arrays; a parameter is put back between them before every use.

    Attributes
    ----------
    values : ParameterDict
        One parameter of ``model.shape`` for every name.

    Raises
    ------
    ValueError
        For a name the medium does not have, or bounds that exclude where to start.

    Examples
    --------
    >>> import numpy as np, torch, seisops as so
    >>> model = so.Model(vp=np.full((21, 11), 2.0), vs=np.full((21, 11), 1.0), rho=np.full((21, 11), 2.0), spacing=10)
    >>> earth = EarthModel(model, ("vp", "vs"), bounds={"vs": (0.5, 1.2)})
    >>> {name: tuple(x.shape) for name, x in earth().items()}
    {'vp': (21, 11), 'vs': (21, 11)}
    """

    def __init__(self, model: Model, names: str | Sequence[str], bounds: Mapping[str, tuple] | None = None) -> None:
        super().__init__()
        names = (names,) if isinstance(names, str) else tuple(names)
        model.medium.meanings(names)
        unknown = set(bounds or {}) - set(names)
        if unknown:
            raise ValueError(f"Bounds of {', '.join(sorted(unknown))}, which is not trained: {', '.join(names)} are.")
        self.values = nn.ParameterDict({n: nn.Parameter(torch.from_numpy(getattr(model, n).copy())) for n in names})
        self.bounded = tuple(bounds or {})
        for name, (low, high) in (bounds or {}).items():
            for side, bound in (("low", low), ("high", high)):
                self.register_buffer(f"{side}_{name}", torch.as_tensor(bound, dtype=self.values[name].dtype))
            x, low, high = self.values[name].detach(), self._bound("low", name), self._bound("high", name)
            if bool(((x < low) | (x > high)).any()):
                raise ValueError(
                    f"The bounds of {name} exclude where it starts, {float(x.min()):.4g} to {float(x.max()):.4g}."
                )

    def _bound(self, side: str, name: str) -> torch.Tensor:
        return getattr(self, f"{side}_{name}")

    def forward(self) -> dict[str, torch.Tensor]:
        """The parameters by name."""
        for name in self.bounded:
            # Not an operation that autograd counts: a second call would forbid the backward of the first.
            self.values[name].data.clamp_(self._bound("low", name), self._bound("high", name))
        return dict(self.values.items())
