"""The parameters of any medium as a trainable module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from seisops import Model, Parametrisation
from seisops.inversion.earth import trained


class EarthModel(nn.Module):
    """Parameters of a medium as ordinary parameters: ``layer(x, **earth())``.

    Parameters
    ----------
    model : Model, or Parametrisation
        Where to start. With that of :func:`seisops.parametrisation` its unknowns are trained, and it says what is fixed
        and between which bounds a smooth map keeps them.
    names : str or sequence of str
        Which parameters of a Model are trained, by any name that ``model.at`` takes; the others stay the model's.
    bounds : dict of str to (low, high), optional
        Numbers or arrays; a parameter is put back between them before every use.

    Attributes
    ----------
    values : ParameterDict
        One parameter of ``model.shape`` for every name, or every unknown.

    Raises
    ------
    ValueError
        For a name the medium does not have, bounds that exclude where to start, or let waves be faster than the time
        step of the model carries.

    Examples
    --------
    >>> import numpy as np, torch, seisops as so
    >>> model = so.Model(vp=np.full((21, 11), 2.0), vs=np.full((21, 11), 1.0), rho=np.full((21, 11), 2.0), spacing=10)
    >>> earth = EarthModel(model, ("vp", "vs"), bounds={"vs": (0.5, 1.2)})
    >>> {name: tuple(x.shape) for name, x in earth().items()}
    {'vp': (21, 11), 'vs': (21, 11)}
    """

    def __init__(
        self,
        model: Model | Parametrisation,
        names: str | Sequence[str] = (),
        bounds: Mapping[str, tuple] | None = None,
    ) -> None:
        super().__init__()
        self.P, bounds = trained(model, names, bounds)
        P = self.P
        self.bounded = tuple(bounds)

        def tensor(x: ArrayLike) -> torch.Tensor:
            x = np.array(x)
            return torch.from_numpy(x if x.dtype == bool else x.astype(P.model.dtype))

        parts = zip(P.unknowns, P.parts(P.start), strict=True)
        self.values = nn.ParameterDict({name: nn.Parameter(tensor(x)) for name, x in parts})
        ends = {f"{side}_{n}": b for n, pair in bounds.items() for side, b in zip(("low", "high"), pair, strict=True)}
        self.constants = tuple(P.constants)
        for name, x in (P.constants | ends).items():
            self.register_buffer(name, tensor(x))

    def forward(self) -> dict[str, torch.Tensor]:
        """The parameters by name."""
        for name in self.bounded:
            # Not an operation that autograd counts: a second call would forbid the backward of the first.
            self.values[name].data.clamp_(getattr(self, f"low_{name}"), getattr(self, f"high_{name}"))
        known = {name: getattr(self, name) for name in self.constants}
        return self.P.forward([self.values[name] for name in self.P.unknowns], known, torch)
