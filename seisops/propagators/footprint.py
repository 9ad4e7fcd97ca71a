"""How much memory a march takes, before it runs."""

from __future__ import annotations

from functools import cache
from math import prod

from seisops.model import Model
from seisops.physics import Medium
from seisops.physics.layer import absorbing, profile, scaled
from seisops.physics.scheme import Scheme
from seisops.physics.surface import applied
from seisops.physics.terms import Field
from seisops.propagators import domain
from seisops.propagators.strips import halo, lives_in_strips, reach, sides_along, width


def workspace_bytes(model: Model, *, adjoint: bool = False, levels: int = 3) -> int:
    """Bytes of the wavefields, of so many `levels`, the memories of the layers and the coefficients of a march."""
    scheme = _scheme(model.medium, model.ndim, _layers(model), model.free_surface, adjoint)
    along = [profile(c) for c in scheme.coefficients]
    cells = along.count(None) * _cells(model, scheme)
    cells += sum(_field_cells(model, scheme, f, levels) for f in scheme.fields)
    rows = sum(domain.shape(model)[a[1]] + 2 * model.space_order for a in along if a)
    return (cells + rows) * model.dtype.itemsize


def state_bytes(model: Model) -> int:
    """Bytes of all that the next steps of a march depend on."""
    scheme = _scheme(model.medium, model.ndim, _layers(model), model.free_surface)
    shape = domain.shape(model)
    total = sum(2 if f.second else 1 for f in scheme.fields if f.strip is None) * _cells(model, scheme)
    for f in scheme.fields:
        if f.strip is not None:
            sides = sum(n > 0 for n in model.pad_widths[f.strip])
            strips = min(sides * _width(model, scheme, f.strip), shape[f.strip])
            total += prod(shape) // shape[f.strip] * strips
    return total * model.dtype.itemsize


def _layers(model: Model) -> frozenset[int]:
    return frozenset(a for a, widths in enumerate(model.pad_widths) if any(widths))


def _field_cells(model: Model, scheme: Scheme, f: Field, levels: int) -> int:
    """Of all levels of a field, or of a memory in all its strips."""
    sides = () if f.strip is None else sides_along(model, scheme, f.strip)
    if not sides or not lives_in_strips(f, scheme, sides):
        return (levels if f.second else 1) * _cells(model, scheme)
    shape = list(domain.shape(model))
    shape[f.strip] = _width(model, scheme, f.strip)
    return len(sides) * _held(tuple(shape), reach(scheme, model.ndim, model.space_order, f.name))


def _width(model: Model, scheme: Scheme, axis: int) -> int:
    return width(scheme, axis, model.ndim, model.absorb, model.space_order)


def _cells(model: Model, scheme: Scheme) -> int:
    """Of one level of a field, with its halo."""
    return _held(domain.shape(model), reach(scheme, model.ndim, model.space_order))


def _held(shape: tuple[int, ...], reach: tuple[int, ...]) -> int:
    return prod(n + sum(around) for n, around in zip(shape, halo(shape, reach), strict=True))


@cache
def _scheme(medium: Medium, ndim: int, layers: frozenset[int], surface: bool, adjoint: bool = False) -> Scheme:
    # A march leaves out what its own ports do not meet: it takes no more than this.
    scheme = absorbing(applied(medium.scheme(ndim), surface), layers)
    return scaled(scheme.transpose) if adjoint else scheme
