"""How much memory a march takes, before it runs."""

from __future__ import annotations

from functools import cache
from math import prod

from seisops.model import Model
from seisops.physics import Medium
from seisops.physics.layer import absorbing, profile
from seisops.physics.scheme import Scheme
from seisops.physics.surface import applied
from seisops.propagators import domain
from seisops.propagators.strips import depth, halo, strip_cells


def workspace_bytes(model: Model) -> int:
    """Bytes of the wavefields, the memory of the layers and the coefficients of a march."""
    scheme = _scheme(model.medium, model.ndim, _layers(model), model.free_surface)
    along = [profile(c) for c in scheme.coefficients]
    grids = sum(3 if f.second else 1 for f in scheme.fields) + along.count(None)
    rows = sum(domain.shape(model)[a[1]] + 2 * model.space_order for a in along if a)
    return (grids * _cells(model) + rows) * model.dtype.itemsize


def state_bytes(model: Model) -> int:
    """Bytes of all that the next steps of a march depend on."""
    scheme = _scheme(model.medium, model.ndim, _layers(model), model.free_surface)
    shape, contiguous = domain.shape(model), model.ndim - 1
    total = sum(2 if f.second else 1 for f in scheme.fields if f.strip is None) * _cells(model)
    for f in scheme.fields:
        if f.strip is not None:
            width = strip_cells(model.absorb, model.space_order, f.strip == contiguous, depth(scheme, f.strip))
            sides = sum(n > 0 for n in model.pad_widths[f.strip])
            total += prod(shape) // shape[f.strip] * min(sides * width, shape[f.strip])
    return total * model.dtype.itemsize


def _layers(model: Model) -> frozenset[int]:
    return frozenset(a for a, widths in enumerate(model.pad_widths) if any(widths))


def _cells(model: Model) -> int:
    """Of one field, with its halo."""
    shape = domain.shape(model)
    return prod(n + sum(around) for n, around in zip(shape, halo(shape, model.space_order), strict=True))


@cache
def _scheme(medium: Medium, ndim: int, layers: frozenset[int], surface: bool) -> Scheme:
    # A march leaves out what its own ports do not meet: it takes no more than this.
    return absorbing(applied(medium.scheme(ndim), surface), layers)
