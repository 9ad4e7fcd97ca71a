r"""Images extended by subsurface offset: what the wavefields at two points have in common, not at one.

.. math:: I(x, h) = -\sum_n g_n(x - h)\, v_n(x + h)

with half offsets h along one axis. Zero offset is the image. Where the background velocity is right the energy of a
reflector is at h = 0, where it is wrong at others.

References
----------
J. Rickett and P. Sava, 2002, Offset and angle-domain common image-point gathers for shot-profile migration,
Geophysics 67. P. Shen and W. Symes, 2008, Automatic velocity analysis via shot profile migration, Geophysics 73.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seisops.propagators.couplings import Offsets
from seisops.scattering import Scattering


class OffsetScattering(Scattering):
    r"""The image of wavefields in a background, by subsurface offset; the adjoint is its Born source.

    .. math:: I(x, h) = -\sum_n g_n(x - h)\, v_n(x + h), \qquad s_n(x) = -\sum_h I(x - h, h)\, g_n(x - 2h)

    Parameters
    ----------
    cells : int
        Half offsets are -cells ... cells, in cells.
    axis : int
        The axis of the model they are along.

    Other parameters and storage are those of :class:`seisops.Scattering`.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to an image (2 cells + 1, \*model.shape), s²/km².

    Raises
    ------
    ValueError
        For no axis of the model, or offsets that do not fit on it.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> Ps, A = so.Projection(model, src), so.Modeling(model, src)
    >>> so.imaging.OffsetScattering(model, src, A @ Ps.H, so.ricker(src, f0=0.02), cells=3)
    Sh: (1, 97, 71, 61) -> (7, 51, 41)
    """

    def __init__(self, model, geometry, op, x, *, cells: int, axis: int = 0, storage=None) -> None:
        if axis not in range(model.ndim):
            raise ValueError(f"Offsets are along an axis of the model, 0 ... {model.ndim - 1}, not {axis}.")
        if cells != int(cells) or not 0 <= 2 * cells < model.shape[axis]:
            raise ValueError(
                f"Half offsets are a whole number of cells, twice of which is less than the {model.shape[axis]} cells "
                f"of axis {axis}; got {cells}."
            )
        self.cells, self.axis = int(cells), int(axis)
        self.lead, self.coupling = (2 * self.cells + 1,), Offsets(self.cells, self.axis)
        super().__init__(model, geometry, op, x, storage=storage)
        self.name = "Sh"

    def _like(self, model, geometry, op, x):
        return type(self)(model, geometry, op, x, cells=self.cells, axis=self.axis, storage=self.storage)

    def padded(self, dm):
        return np.stack([self._moved(self.model.pad(x), k) for k, x in self._by_offset(dm)])

    def gathered(self, image):
        return np.stack([self.model.pad_adjoint(self._moved(x, -k)) for k, x in self._by_offset(image)])

    def correlated(self, g, u):
        return np.stack([super(OffsetScattering, self).correlated(self._moved(g, 2 * k), u) for k in self._offsets])

    def scattered(self, padded, g):
        return sum(x * self._moved(g, 2 * k) for k, x in self._by_offset(padded))

    @property
    def _offsets(self) -> range:
        return range(-self.cells, self.cells + 1)

    def _by_offset(self, image: NDArray) -> zip:
        return zip(self._offsets, image, strict=True)

    def _moved(self, x: NDArray, cells: int) -> NDArray:
        """`x` further along the axis by `cells`, zero where nothing comes from; the transpose moves it back."""
        axis = self.axis - self.model.ndim
        n = x.shape[axis]
        there, here = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        there[axis], here[axis] = slice(max(cells, 0), n + min(cells, 0)), slice(max(-cells, 0), n + min(-cells, 0))
        moved = np.zeros_like(x)
        moved[tuple(there)] = x[tuple(here)]
        return moved

    def derivative(self, this, tail, x):
        raise NotImplementedError(
            "Images by offset are linear in the perturbation, and their derivatives with respect to m are not known: "
            "differentiate the Jacobian."
        )
