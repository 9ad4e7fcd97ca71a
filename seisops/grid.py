"""A regular grid with an absorbing layer around it, and the way between the two."""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray


class Grid:
    """What of a model is geometry alone; it never changes.

    Attributes
    ----------
    shape, spacing, origin : tuple
        Of the physical grid, without its layer.
    absorb : int
        Cells of the layer.
    margin : int
        Cells between the grid and its layer.
    free_surface : bool
        Whether there is a free surface instead of a layer at the first node of the last axis.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    absorb: int
    margin: int
    free_surface: bool

    @cached_property
    def ndim(self) -> int:
        """Number of space axes, 2 or 3."""
        return len(self.shape)

    @cached_property
    def size(self) -> int:
        """Number of its nodes."""
        return prod(self.shape)

    @cached_property
    def pad_widths(self) -> tuple[tuple[int, int], ...]:
        """Cells before and after every axis, of the layer and of the margin to it."""
        cells = self.absorb + self.margin if self.absorb else 0
        widths = [(cells, cells)] * self.ndim
        if self.free_surface:
            widths[-1] = (0, cells)
        return tuple(widths)

    @cached_property
    def padded_shape(self) -> tuple[int, ...]:
        """Shape of a wavefield: the grid with its absorbing layer."""
        return tuple(n + a + b for n, (a, b) in zip(self.shape, self.pad_widths, strict=True))

    @cached_property
    def interior(self) -> tuple[slice, ...]:
        """Slices of the physical grid inside the padded one."""
        return tuple(slice(a, a + n) for n, (a, _) in zip(self.shape, self.pad_widths, strict=True))

    @cached_property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """First and last position of every axis, m."""
        return tuple((o, o + (n - 1) * d) for o, n, d in zip(self.origin, self.shape, self.spacing, strict=True))

    def crop(self, u: NDArray) -> NDArray:
        """Physical part of `u`, an array whose last axes are `padded_shape`."""
        return u[(..., *self.interior)]

    def embed(self, w: NDArray) -> NDArray:
        """`w` on the padded grid with zeros in the layer: the transpose of :meth:`crop`."""
        lead = w.shape[: w.ndim - self.ndim]
        out = np.zeros((*lead, *self.padded_shape), w.dtype)
        self.crop(out)[...] = w
        return out

    def inside(self) -> NDArray:
        """One in the grid, and falling smoothly to zero across the margin, on the padded grid."""
        found = np.ones(self.padded_shape)
        for axis, ((before, after), n) in enumerate(zip(self.pad_widths, self.padded_shape, strict=True)):
            i = np.arange(n)
            beyond = np.maximum(before - i, i - (n - 1 - after)).clip(0, self.margin) / max(self.margin, 1)
            fall = (1 + np.cos(np.pi * beyond)) / 2
            found *= fall.reshape([-1 if k == axis else 1 for k in range(self.ndim)])
        return found

    def pad(self, x: NDArray) -> NDArray:
        """`x` on the padded grid, extended into the layer by its edge values."""
        for axis, nodes in enumerate(self._nearest):
            x = x.take(nodes, axis)
        return x

    @cached_property
    def _nearest(self) -> list[NDArray]:
        """For every node of the padded grid along every axis, the one of the physical grid whose value it has."""
        widths = zip(self.shape, self.pad_widths, strict=True)
        return [np.arange(-a, n + b).clip(0, n - 1) for n, (a, b) in widths]

    def pad_adjoint(self, y: NDArray) -> NDArray:
        """The transpose of :meth:`pad`: what lies in the layer is added to the edge it came from."""
        for axis, (a, _) in enumerate(self.pad_widths):
            n, before = self.shape[axis], (slice(None),) * axis
            inner = y[*before, a : a + n].copy()
            inner[*before, 0] += np.add.reduce(y[*before, :a], axis)
            inner[*before, n - 1] += np.add.reduce(y[*before, a + n :], axis)
            y = inner
        return np.ascontiguousarray(y)
