r"""Imaging conditions: what of a background g and a wavefield v makes an image, and what an image scatters of g.

Each is a bilinear form of two wavefields, and its transpose in one of them, the linearised source, is here with it:

================== ================== ========================================= ========================================
condition          kept of U          image                                     linearised source
================== ================== ========================================= ========================================
AdjointState       g = second         :math:`-\sum_n g_n v_n`                   :math:`-dm\, g_n`
                   difference of U
Correlation        g = U              :math:`-\sum_n g_n v_n`                   :math:`-dm\, g_n`
SubsurfaceOffsets  g = second         :math:`-\sum_n g_n(x - h) v_n(x + h)`     :math:`-\sum_h dm(x - h, h) g_n(x - 2h)`
                   difference of U
================== ================== ========================================= ========================================

As what is kept is symmetric in time, the two wavefields may change places: the image of v in the background U is that
of U in the background v under the ``reverse`` condition. Derivatives with respect to the model use nothing else.

References
----------
J. Rickett and P. Sava, 2002, Offset and angle-domain common image-point gathers for shot-profile migration,
Geophysics 67. P. Shen and W. Symes, 2008, Automatic velocity analysis via shot profile migration, Geophysics 73.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seisops.model import Model
from seisops.physics.ports import Scatterer
from seisops.propagators.couplings import Background, Coupling, Offsets, Scattering, Wavefield
from seisops.propagators.marching import Term
from seisops.storage import History


class Condition(ABC):
    """What of a background and a wavefield makes an image.

    A subclass is frozen and hashable, and has a `symbol` for the sentence of a product.
    """

    symbol: str

    @property
    @abstractmethod
    def coupling(self) -> Coupling:
        """How a kernel images, and scatters off an image."""

    @property
    @abstractmethod
    def reverse(self) -> Condition:
        """The condition with the wavefields in each other's place."""

    @abstractmethod
    def filling(self, history: History) -> Term:
        """The measurement of a march that fills `history` with what is kept of its wavefield."""

    @abstractmethod
    def kept_of(self, u: NDArray, h: float) -> NDArray:
        """What is kept of a wavefield in memory, of time step `h`; a symmetric operator."""

    @property
    def count(self) -> int:
        """How many wavefields are kept."""
        return 1

    def dims(self, model: Model) -> tuple[int, ...]:
        """Shape of an image."""
        return model.shape

    def padded(self, model: Model, dm: NDArray) -> NDArray:
        """A perturbation as it scatters, on the padded grid."""
        return model.pad(dm)

    def gathered(self, model: Model, image: NDArray) -> NDArray:
        """The image of what was correlated on the padded grid: the transpose of :meth:`padded`."""
        return model.pad_adjoint(image)

    def correlated(self, g: NDArray, u: NDArray) -> NDArray:
        """What `g` and `u` have in common, on the padded grid."""
        return -np.einsum("t...,t...->...", g, u)

    def scattered(self, padded: NDArray, g: NDArray) -> NDArray:
        """What `g` radiates where it meets the perturbation: the transpose of :meth:`correlated`."""
        return -padded * g


@dataclass(frozen=True)
class AdjointState(Condition):
    """The second time difference of the background with the wavefield: the gradient of a misfit."""

    symbol = "S"

    @property
    def coupling(self):
        return Scattering()

    @property
    def reverse(self):
        return self

    def filling(self, history):
        return Term(Background(), history=history)

    def kept_of(self, u, h):
        return second_time_difference(u, h)


@dataclass(frozen=True)
class Correlation(AdjointState):
    """The background itself with the wavefield: a part of the inverse-scattering condition."""

    symbol = "C"

    def filling(self, history):
        return Term(Wavefield(), history=history)

    def kept_of(self, u, h):
        return u


@dataclass(frozen=True)
class Perturbations(Condition):
    """Perturbations of the coefficients of a scheme of several wavefields, each where it scatters.

    Images are of coefficients on the padded grid, with an axis of them where there are several.
    """

    scatterers: tuple[Scatterer, ...]
    channels: tuple[str, ...]
    symbol = "S"

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The coefficients that are perturbed."""
        return tuple(dict.fromkeys(s.coefficient for s in self.scatterers))

    @property
    def kept(self) -> tuple[tuple[str, bool], ...]:
        """What is kept of a background: channels, and whether it is their second differences."""
        return tuple(dict.fromkeys((s.kept, s.second) for s in self.scatterers))

    @property
    def count(self):
        return len(self.kept)

    @property
    def _indices(self) -> tuple[tuple[int, str, int, float], ...]:
        names, kept = self.coefficients, self.kept
        return tuple(
            (names.index(s.coefficient), s.target, kept.index((s.kept, s.second)), s.factor) for s in self.scatterers
        )

    @property
    def coupling(self):
        return Scattering(self._indices)

    @property
    def reverse(self):
        return replace(self, scatterers=tuple(replace(s, target=s.kept, kept=s.target) for s in self.scatterers))

    def filling(self, history):
        return Term(Background(self.kept), history=history)

    def dims(self, model):
        n = len(self.coefficients)
        return model.padded_shape if n == 1 else (n, *model.padded_shape)

    def padded(self, model, dm):
        return dm

    def gathered(self, model, image):
        return image

    def kept_of(self, u, h):
        parts = [self._channel(u, name) for name, _ in self.kept]
        parts = [second_time_difference(x, h) if s else x for x, (_, s) in zip(parts, self.kept, strict=True)]
        return parts[0] if len(parts) == 1 else np.stack(parts, axis=1)

    def correlated(self, g, u):
        image = np.zeros((len(self.coefficients), *g.shape[-self._ndim(u) :]), np.float64)
        for i, target, k, factor in self._indices:
            image[i] += factor * np.einsum("t...,t...->...", self._part(g, k), self._channel(u, target))
        return image[0] if len(image) == 1 else image

    def scattered(self, padded, g):
        maps = padded[None] if len(self.coefficients) == 1 else padded
        first = self._part(g, 0)
        source = np.zeros((len(first), len(self.channels), *first.shape[1:]), g.dtype)
        for i, target, k, factor in self._indices:
            source[:, self.channels.index(target)] += g.dtype.type(factor) * maps[i] * self._part(g, k)
        return source[:, 0] if len(self.channels) == 1 else source

    def _ndim(self, u: NDArray) -> int:
        return u.ndim - 1 - (len(self.channels) > 1)

    def _part(self, g: NDArray, k: int) -> NDArray:
        return g if self.count == 1 else g[:, k]

    def _channel(self, u: NDArray, name: str) -> NDArray:
        return u if len(self.channels) == 1 else u[:, self.channels.index(name)]


ADJOINT_STATE = AdjointState()


@dataclass(frozen=True)
class SubsurfaceOffsets(Condition):
    """The background at x - h with the wavefield at x + h, h = -cells ... cells along an axis, or from the last h to
    the first: another condition, moved apart."""

    cells: int
    axis: int = 0
    descending: bool = False
    of: Condition = ADJOINT_STATE
    symbol = "Sh"

    def dims(self, model):
        if self.axis not in range(model.ndim):
            raise ValueError(f"Offsets are along an axis of the model, 0 ... {model.ndim - 1}, not {self.axis}.")
        n = model.shape[self.axis]
        if self.cells != int(self.cells) or not 0 <= 2 * self.cells < n:
            raise ValueError(
                f"Half offsets are a whole number of cells, twice of which is less than the {n} cells of axis "
                f"{self.axis}; got {self.cells}."
            )
        return (2 * self.cells + 1, *self.of.dims(model))

    @property
    def coupling(self):
        return Offsets(self.of.coupling.scatterers, self.cells, self.axis)

    @property
    def reverse(self):
        return replace(self, descending=not self.descending, of=self.of.reverse)

    @property
    def count(self):
        return self.of.count

    def filling(self, history):
        return self.of.filling(history)

    def kept_of(self, u, h):
        return self.of.kept_of(u, h)

    def padded(self, model, dm):
        axis = self.axis - model.ndim
        images = zip(self._cells, self._ordered(dm), strict=True)
        return np.stack([_moved(self.of.padded(model, x), k, axis) for k, x in images])

    def gathered(self, model, image):
        axis = self.axis - model.ndim
        found = [self.of.gathered(model, _moved(x, -k, axis)) for k, x in zip(self._cells, image, strict=True)]
        return np.stack(self._ordered(found))

    def correlated(self, g, u):
        return np.stack([self.of.correlated(self._beside(g, k), u) for k in self._cells])

    def scattered(self, padded, g):
        return sum(self.of.scattered(x, self._beside(g, k)) for k, x in zip(self._cells, padded, strict=True))

    def _beside(self, g: NDArray, k: int) -> NDArray:
        """The background twice a half offset away."""
        return _moved(g, 2 * k, self.axis + 1 + (self.of.count > 1))

    @property
    def _cells(self) -> range:
        """Half offsets, as a kernel has them."""
        return range(-self.cells, self.cells + 1)

    def _ordered(self, image):
        """From the order of a kernel to that of the image, and back."""
        return image[::-1] if self.descending else image


def second_time_difference(u: NDArray, h: float) -> NDArray:
    """(u[n+1] - 2 u[n] + u[n-1]) / h² along the first axis, zero before and after; a symmetric operator."""
    g = -2 * u
    g[:-1] += u[1:]
    g[1:] += u[:-1]
    return g / u.dtype.type(h) ** 2


def _moved(x: NDArray, cells: int, axis: int) -> NDArray:
    """`x` further along an axis by `cells`, zero where nothing comes from; the transpose moves it back."""
    n = x.shape[axis]
    there, here = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    there[axis], here[axis] = slice(max(cells, 0), n + min(cells, 0)), slice(max(-cells, 0), n + min(-cells, 0))
    moved = np.zeros_like(x)
    moved[tuple(there)] = x[tuple(here)]
    return moved
