"""The earth: grid, squared slowness, absorbing layer, free surface and the pinned time step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.grid import Grid
from seisops.model import checks, formulas, words
from seisops.physics import Medium, medium_of, surface
from seisops.physics.coefficients import Function
from seisops.physics.scheme import Scheme
from seisops.units import warn_of_other_name, warn_of_slownesses

VMAX_MARGIN = 1.1


def _freeze(array: NDArray) -> NDArray:
    array.flags.writeable = False
    return array


class Model(Grid):
    r"""The earth: the parameters of a medium on a regular grid.

    Which parameters are given says which wave equation is solved, see :mod:`seisops.physics`: with the velocity alone
    :math:`m\,\partial_t^2 u - \nabla^2 u = q` with the squared slowness :math:`m = 1/v^2`; with `rho` too a density
    that varies; with `vp`, `vs` and `rho` an elastic solid. A model never changes: :meth:`at` gives the same grid and
    the same time step with other parameters.

    Parameters
    ----------
    v : array, axes (x, z) or (x, y, z), km/s
        Velocity. Give either `v` or `m`.
    m : array, axes (x, z) or (x, y, z), s²/km²
        Squared slowness, :math:`1/v^2`.
    **parameters : arrays, axes (x, z) or (x, y, z)
        Those of other media: density `rho` (g/cm³), velocities `vp` and `vs` (km/s), or `lam` and `mu` (GPa).
    physics : Medium, optional
        A medium of your own, whose parameters are given by name.
    spacing : float or sequence of float, m
        Grid spacing of every axis.
    origin : sequence of float, m, optional
        Position of the first grid point; zero by default.
    absorb : int
        Cells of the absorbing layer (CPML) added on every side.
    free_surface : bool
        A surface without stress (in water, without pressure) at the first grid point of the last axis, and no layer.
    space_order : int
        Order of accuracy of the Laplacian; even.
    dt : float, ms, optional
        Computational time step; the stability limit of `vmax` by default.
    vmax : float, km/s, optional
        The velocity that `dt` and the absorbing layer are made for; 1.1 times the model's own by default.
    correct_dispersion : bool
        Remove the dispersion of the time stepping from the data.
    dtype : {"float32", "float64"}
        Precision of every operator made from the model.

    Attributes
    ----------
    m, v, ... : read-only array of `shape`
        The medium's parameters by name; all of them are in `parameters`.
    shape, padded_shape : tuple of int
        The grid without and with the absorbing layer.
    dt, vmax : float
        The pinned time step (ms) and the velocity it was made for (km/s).

    Raises
    ------
    ValueError
        For velocities that are not positive and finite, a time step above the stability limit,
        or a grid that cannot hold the stencil.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> so.Model(v=np.full((101, 51), 2.0), spacing=(10, 10))
    Model(101 x 51, spacing 10 x 10 m, v 2-2 km/s, dt 2.521 ms, CPML 10 cells, float32)
    """

    def __init__(
        self,
        *,
        v: ArrayLike | None = None,
        m: ArrayLike | None = None,
        spacing: ArrayLike,
        physics: Medium | None = None,
        origin: ArrayLike | None = None,
        absorb: int = 10,
        free_surface: bool = False,
        space_order: int = 8,
        dt: float | None = None,
        vmax: float | None = None,
        correct_dispersion: bool = True,
        dtype: str | type = "float32",
        **parameters: ArrayLike,
    ) -> None:
        parameters = {name: x for name, x in {"v": v, "m": m, **parameters}.items() if x is not None}
        self.medium, parameters = medium_of(parameters) if physics is None else (physics, parameters)
        self.dtype = checks.precision(dtype)
        self._parameters, self._spelled = self._canonical(checks.with_defaults(self.medium, parameters)), {}
        checks.check_complete(self)
        self.shape = next(iter(self._parameters.values())).shape
        checks.check_shapes(self)
        self.medium.check(self._parameters)
        self.spacing = checks.spacing(spacing, self.ndim)
        self.origin = checks.per_axis(0.0 if origin is None else origin, self.ndim, "origin")
        self.absorb, self.space_order = checks.layer(absorb), checks.order(space_order)
        self.free_surface, self.correct_dispersion = bool(free_surface), bool(correct_dispersion)
        checks.check_free_surface(self)
        checks.check_units(self, parameters)
        if "m" in parameters:
            warn_of_slownesses(self._parameters["m"])
        self.vmax = checks.fastest(vmax, VMAX_MARGIN * self.grid_speed)
        self.dt = checks.time_step(dt, self.stable_step(self.vmax))
        checks.check_speed(self)
        # What was warned of, in all models of this grid.
        self.told: set = set()
        self._frozen = True

    def __setattr__(self, name: str, value: object) -> None:
        if getattr(self, "_frozen", False):
            raise AttributeError(f"A Model does not change; for another {name} use Model(...) or .at(m=...).")
        object.__setattr__(self, name, value)

    @property
    def parameters(self) -> Mapping[str, NDArray]:
        """The medium's parameters by name, read-only arrays of `shape`."""
        return MappingProxyType(self._parameters)

    def __getattr__(self, name: str) -> NDArray:
        # Parameters, and those of them that are spelled otherwise, by name; kept where they must be computed.
        state = self.__dict__
        if name in state.get("_parameters", ()):
            return state["_parameters"][name]
        spelling = state["medium"].spellings.get(name) if "medium" in state else None
        if spelling is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}.")
        if name not in self._spelled:
            self._spelled[name] = _freeze(self.quantity(name).astype(self.dtype))
        return self._spelled[name]

    def quantity(self, name: str) -> NDArray:
        """A parameter, or what it is also spelled by, in double precision."""
        if name in self._parameters:
            return self._parameters[name].astype(np.float64)
        formula = self.medium.spellings[name].from_parameter
        return self.medium.evaluate(formula, {n: x.astype(np.float64) for n, x in self._parameters.items()})

    def padded(self, name: str) -> NDArray:
        """A quantity on the padded grid, or where that is inside of the model."""
        if name in surface.KNOWN:
            rows = surface.known(name, self.padded_shape[-1], self.space_order)
            return np.expand_dims(rows, tuple(range(self.ndim - 1)))
        return self.inside() if name == "inside" else self.pad(self.quantity(name))

    @cached_property
    def ends(self) -> bool:
        """Whether fields end at a free surface; others are mirrored there."""
        return self.free_surface and surface.ends(self.medium.scheme(self.ndim))

    @property
    def margin(self) -> int:
        """Cells between the grid and its absorbing layer, which the medium asks for."""
        return self.medium.margin

    @cached_property
    def grid_key(self) -> tuple:
        """All that must agree for two models to share wavefields."""
        return (self.medium, self.shape, self.spacing, self.origin, self.absorb, self.free_surface, self.space_order,
                self.dt, self.vmax, self.correct_dispersion, self.dtype.name)  # fmt: skip

    @cached_property
    def scheme(self) -> Scheme:
        """The medium's time step on this grid, without its layer."""
        return surface.applied(self.medium.scheme(self.ndim), self.ends)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The wavefields of its modelling operator."""
        return self.medium.channels(self.ndim)

    @cached_property
    def coefficients(self) -> dict[str, NDArray]:
        """What kernels are given of the medium on the padded grid: its coefficients, of an inertia M dt²/M."""
        return {name: _freeze(x.astype(self.dtype)) for name, x in formulas.coefficients(self).items()}

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The coefficients as functions of the parameters."""
        return formulas.functions(self, self.medium.parameters, formulas.named(self.scheme, self.medium))

    @cached_property
    def slowest(self) -> float:
        """The slowest speed, km/s."""
        return float(self.dtype.type(self.medium.slowest(self._parameters)))

    @cached_property
    def fastest(self) -> float:
        """The fastest speed, km/s."""
        return self.medium.fastest(self._parameters)

    @cached_property
    def grid_speed(self) -> float:
        """The fastest speed on the grid, km/s, which its time step is for."""
        return self.medium.grid_speed(self._parameters)

    def stable_step(self, velocity: float) -> float:
        """The longest stable time step at a velocity, ms."""
        return self._stable_step / velocity

    @cached_property
    def _stable_step(self) -> float:
        return self.medium.stable_step(self.spacing, self.space_order)

    @property
    def speed_limit(self) -> float:
        """The velocity up to which the time step is stable, km/s: `vmax`, and what rounding of `dt` adds."""
        return self._stable_step / self.dt

    # ------------------------------------------------------------------ other models

    def at(self, **parameters: ArrayLike) -> Model:
        """The same grid and time step with other parameters; those that are not given stay.

        Parameters
        ----------
        **parameters : arrays of `shape` (or flat)
            By name: the squared slowness m in s²/km², or the velocity v in km/s.

        Raises
        ------
        TypeError
            For a parameter the medium does not have.
        ValueError
            For values without meaning, or a model too fast for the pinned time step.
        """
        shaped = {}
        for name, x in parameters.items():
            x = np.asarray(x)
            if x.size != self.size or x.shape not in (self.shape, (x.size,)):
                raise ValueError(f"{checks.title(self, name)} has shape {x.shape}, the model has {self.shape}.")
            shaped[name] = x.reshape(self.shape)
        # All but its values stays.
        state = {name: x for name, x in self.__dict__.items() if name not in _OF_VALUES}
        other = self._with(state, _parameters=self._parameters | self._canonical(shaped, self._parameters))
        other.medium.check(other._parameters)
        checks.check_units(other, shaped)
        checks.check_speed(other)
        for name in shaped.keys() & {"m", "v"}:
            warn_of_other_name(name, shaped[name], self, other)
        return other

    def window(self, slices: tuple[slice, ...]) -> Model:
        """A part of the model, with the time step and the absorbing layer of the whole.

        Parameters
        ----------
        slices : tuple of slice
            Cells of every axis, in steps of one.
        """
        starts = [s.indices(n)[0] for s, n in zip(slices, self.shape, strict=True)]
        origin = tuple(o + i * d for o, i, d in zip(self.origin, starts, self.spacing, strict=True))
        parts = {name: _freeze(np.ascontiguousarray(x[slices])) for name, x in self._parameters.items()}
        shape = next(iter(parts.values())).shape
        return self._with(self.__getstate__(), _parameters=parts, shape=shape, origin=origin)

    def _with(self, state: dict, **changes) -> Model:
        other = object.__new__(Model)
        other.__dict__.update(state | changes, told=self.told, _spelled={})
        return other

    def __getstate__(self) -> dict:
        return {k: x for k, x in self.__dict__.items() if k not in _MADE}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update({"told": set()} | state, _spelled={})
        # What comes out of a file or another process can be written to.
        for x in self._parameters.values():
            _freeze(x)

    def _canonical(
        self, given: Mapping[str, ArrayLike], known: Mapping[str, NDArray] | None = None
    ) -> dict[str, NDArray]:
        found = self.medium.canonical(given, known)
        return {name: _freeze(found[name].astype(self.dtype)) for name in self.medium.parameters if name in found}

    _repr_html_ = words.html
    __repr__ = words.line


# What a model finds out when it is first asked, and what of that is another with other parameters.
_OF_VALUES = {"_spelled", "coefficients", "slowest", "fastest", "grid_speed"}
_MADE = {"_spelled", "told"} | {k for c in Model.__mro__ for k, x in vars(c).items() if isinstance(x, cached_property)}
