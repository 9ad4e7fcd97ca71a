"""A part of a model, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from seisops.model import Model

# Sizes of windows are rounded up to multiples of this many cells, so that shots share fields and buffers.
ROUNDING = 16


@dataclass(frozen=True)
class Window:
    """A part of a model, and the way there and back for arrays whose last axes are the model's."""

    full: Model
    slices: tuple[slice, ...]

    @cached_property
    def model(self) -> Model:
        """The part, with the time step and the layer of the whole."""
        return self.of(self.full)

    def of(self, model: Model) -> Model:
        """The same part of a model on the whole grid; operators that share a model share its part."""
        for whole, part in self._parts:
            if whole is model:
                return part
        self._parts.append((model, model.window(self.slices)))
        return self._parts[-1][1]

    @cached_property
    def _parts(self) -> list[tuple[Model, Model]]:
        """Models, and the parts of them that have been made."""
        return []

    def within(self, slices: tuple[slice, ...]) -> tuple[slice, ...]:
        """What other `slices` of the whole have in common with the part, counted from where it begins."""
        return tuple(
            slice(max(a.start, b.start) - b.start, min(a.stop, b.stop) - b.start)
            for a, b in zip(slices, self.slices, strict=True)
        )

    def crop(self, x: NDArray) -> NDArray:
        """The part of an array (..., *model.shape)."""
        return x[(..., *self.slices)]

    def embed(self, y: NDArray) -> NDArray:
        """An array of the part in the whole, zero elsewhere; the transpose of :meth:`crop`."""
        result = np.zeros((*y.shape[: y.ndim - self.full.ndim], *self.full.shape), y.dtype)
        result[(..., *self.slices)] = y
        return result


def around(model: Model, points: NDArray, buffer: float) -> tuple[slice, ...]:
    """The cells from the first to the last of `points` and beyond by `buffer`, in all axes but the depth."""
    result = []
    for axis, (n, d, origin) in enumerate(zip(model.shape[:-1], model.spacing, model.origin, strict=False)):
        first = floor((points[:, axis].min() - buffer - origin) / d)
        last = ceil((points[:, axis].max() + buffer - origin) / d)
        size = min(n, ROUNDING * ceil((last - first + 1) / ROUNDING))
        start = min(max(0, (first + last + 1 - size) // 2), n - size)
        result.append(slice(start, start + size))
    return (*result, slice(0, model.shape[-1]))
