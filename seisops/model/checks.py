"""What is refused of a model when it is made, warned of, and filled in."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10

import numpy as np
from numpy.typing import ArrayLike

from seisops.arrays import real
from seisops.notices import ReflectingWarning, warn
from seisops.physics.surface import depth
from seisops.units import check_time_step, check_velocity


def per_axis(value: ArrayLike, ndim: int, name: str) -> tuple[float, ...]:
    """A value for every axis, of one for all or of as many."""
    given = real(value, name)
    if given.shape not in ((), (1,), (ndim,)):
        raise ValueError(f"{name} takes one value or one for each of the {ndim} axes, got {given.tolist()}.")
    values = tuple(float(x) for x in np.broadcast_to(given, (ndim,)))
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must be finite, got {values}.")
    return values


def spacing(value: ArrayLike, ndim: int) -> tuple[float, ...]:
    """The grid spacing of every axis."""
    values = per_axis(value, ndim, "spacing")
    if min(values) <= 0:
        raise ValueError(f"Grid spacing must be positive, got {values} m.")
    return values


def layer(absorb: int) -> int:
    """The cells of the absorbing layer."""
    if np.ndim(absorb):
        raise TypeError(f"absorb is one number of cells for all sides, got {absorb}: write absorb={max(absorb)}.")
    if absorb < 0 or int(absorb) != absorb:
        raise ValueError(f"absorb is a number of cells, 0 or more; got {absorb}.")
    if absorb == 0:
        warn(
            "absorb=0 leaves the absorbing layer out: all edges reflect. Its 10 cells are the default.",
            ReflectingWarning,
        )
    return int(absorb)


def order(space_order: int) -> int:
    """The order of accuracy of differences."""
    if space_order < 2 or space_order % 2:
        raise ValueError(f"space_order must be even and at least 2, got {space_order}.")
    return int(space_order)


def with_defaults(medium, given: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """What is given, and what stands for the parameters that may be left out."""
    shape = np.shape(next(iter(given.values()))) if given else ()
    optional = {n: p.default for n, p in medium.parameters.items() if p.default is not None}
    meant = {medium.spellings[n].of if n in medium.spellings else n for n in given}
    return given | {n: np.full(shape, x) for n, x in optional.items() if n not in meant}


def precision(dtype) -> np.dtype:
    """What operators compute in."""
    found = np.dtype(dtype)
    if found not in (np.dtype("float32"), np.dtype("float64")):
        raise ValueError(f"dtype must be float32 or float64, got {found}.")
    return found


def check_complete(model) -> None:
    """Refuse a medium some of whose parameters nobody gave."""
    missing = model.medium.parameters.keys() - model.parameters.keys()
    if missing:
        raise TypeError(f"{type(model.medium).__name__} needs {', '.join(sorted(missing))} too: {model.medium.words}.")


def check_shapes(model) -> None:
    """Refuse parameters on different grids."""
    for name, x in model.parameters.items():
        if x.shape != model.shape:
            raise ValueError(f"{title(model, name)} has shape {x.shape}, other parameters have {model.shape}.")


def check_free_surface(model) -> None:
    """Refuse a free surface of a medium that knows none, or of a grid that cannot hold its mirror."""
    if model.free_surface and not model.medium.free_surface:
        raise NotImplementedError(
            f"{type(model.medium).__name__} knows no free surface: leave free_surface=True out, and put some cells "
            "of a fluid of small density on top where the surface matters."
        )
    if not model.free_surface:
        return
    least = max(model.space_order + 1, depth(model.space_order) if model.ends else 0)
    if model.shape[-1] < least:
        raise ValueError(
            f"A free surface needs {least} grid points in depth with space_order = {model.space_order}; the model has "
            f"{model.shape[-1]}. Refine the grid or lower space_order."
        )


def check_units(model, given: Mapping[str, ArrayLike]) -> None:
    """Refuse velocities of another unit."""
    slowness = "those of s²/m² are m=1e6 * m" if "m" in given else "divide by 1000, such as v=v / 1000"
    check_velocity("The fastest velocity", model.fastest, slowness)


def fastest(vmax: float | None, default: float) -> float:
    """The velocity that a time step is made for."""
    if vmax is not None:
        check_velocity("vmax", float(vmax), f"vmax={float(vmax) / 1000:.4g}")
    found = float(vmax) if vmax is not None else default
    if not (np.isfinite(found) and found > 0):
        raise ValueError(f"vmax must be positive, got {found} km/s.")
    return found


def time_step(dt: float | None, limit: float) -> float:
    """The time step, by default as long as is stable."""
    found = float(dt) if dt is not None else _round_down(limit)
    if not (np.isfinite(found) and found > 0):
        raise ValueError(f"dt must be positive, got {found} ms.")
    check_time_step(found, limit)
    return found


def check_speed(model) -> None:
    """Refuse a model that is too fast for its time step."""
    limit, speed = model.speed_limit, model.grid_speed
    if speed > limit * (1 + 1e-5):
        lighter = speed > model.fastest * (1 + 1e-5)
        beside = f" at a node beside lighter ones ({model.fastest:.4g} km/s in its rock)" if lighter else ""
        raise ValueError(
            f"The fastest velocity, {speed:.4g} km/s{beside}, is above {limit:.4g} km/s, the stability limit of the "
            f"time step {model.dt:.4g} ms. Make the model with Model(..., vmax={speed * 1.02:.3g}) "
            f"or Model(..., dt={_round_down(model.stable_step(speed)):.4g})."
        )


def title(model, name: str) -> str:
    """What a parameter is called in a sentence."""
    known = model.medium.parameters | model.medium.spellings
    return f"The {known[name].title}" if name in known else name


def _round_down(x: float) -> float:
    """Four significant digits, never more than `x`: a time step that prints well."""
    unit = 10.0 ** (floor(log10(x)) - 3)
    return floor(x / unit * (1 + 1e-12)) * unit
