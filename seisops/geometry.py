"""Where and when a survey measures: the points of every shot and the time axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.cards import card
from seisops.positions import points_of, positions_of


class Geometry:
    """Points of every shot, sources or receivers, with their time axis.

    Parameters
    ----------
    positions : array (shot, point, axis), or a list of arrays (point, axis), m
        A list may hold a different number of points for every shot.
    dt : float, ms
        Sampling interval.
    t : float, ms, optional
        Recording time. Give either `t` or `nt`.
    nt : int, optional
        Number of samples.

    Attributes
    ----------
    nsrc, nt : int
        Number of shots and of samples.
    npoint : int or tuple of int
        Points of every shot, a tuple when the shots differ.
    shape : tuple of int
        Shape of the data, (nsrc, npoint, nt); (size,) when the shots differ.
    time : array (nt,), ms

    Raises
    ------
    ValueError
        For positions that are not (shot, point, axis) or not finite, or an unusable time axis.

    Examples
    --------
    Most surveys need one of the two shorter ways, :meth:`line` and :meth:`spread`.

    >>> import seisops as so
    >>> geometry = so.Geometry([[[100.0, 20.0]], [[300.0, 20.0]], [[500.0, 25.0]]], dt=2.0, t=1000.0)
    >>> geometry
    Geometry(3 shots x 1 point, 501 samples of 2 ms)
    >>> len(geometry), geometry[1:3].shape, geometry[0].shape
    (3, (2, 1, 501), (1, 501))
    """

    def __init__(
        self,
        positions: ArrayLike | Sequence[ArrayLike],
        *,
        dt: float,
        t: float | None = None,
        nt: int | None = None,
    ) -> None:
        self.positions = positions_of(positions)
        self.single = False
        self._set_time(dt, t, nt)

    @classmethod
    def line(
        cls,
        x: ArrayLike,
        depth: ArrayLike,
        *,
        y: ArrayLike | None = None,
        dt: float,
        t: float | None = None,
        nt: int | None = None,
    ) -> Geometry:
        """Put one point in every shot: sources along a line.

        Parameters
        ----------
        x, depth : float or array, m
            Where shot after shot fires; what is a single number holds for all.
        y : float or array, m, optional
            The second horizontal axis of a survey in 3-D. A grid of sources is ``x[:, None]`` with ``y[None]``.
        dt, t, nt
            The time axis, as of :class:`Geometry`.

        Returns
        -------
        Geometry

        Raises
        ------
        ValueError
            If the coordinates do not have one length, or the time axis is unusable.

        Examples
        --------
        >>> import numpy as np, seisops as so
        >>> so.Geometry.line(np.linspace(100, 900, 5), depth=20, dt=2, t=1000)
        Geometry(5 shots x 1 point, 501 samples of 2 ms)
        """
        return cls(points_of(x, y, depth)[:, None], dt=dt, t=t, nt=nt)

    @classmethod
    def spread(
        cls,
        x: ArrayLike,
        depth: ArrayLike,
        *,
        nsrc: int,
        y: ArrayLike | None = None,
        dt: float,
        t: float | None = None,
        nt: int | None = None,
    ) -> Geometry:
        """Put the same points in every shot: receivers that stay where they are.

        Parameters
        ----------
        x, depth : float or array, m
            Where the receivers are; what is a single number holds for all.
        nsrc : int
            How many shots they record.
        y : float or array, m, optional
            The second horizontal axis of a survey in 3-D. A grid of receivers is ``x[:, None]`` with ``y[None]``.
        dt, t, nt
            The time axis, as of :class:`Geometry`.

        Returns
        -------
        Geometry

        Raises
        ------
        ValueError
            If the coordinates do not have one length, or the time axis is unusable.

        Examples
        --------
        >>> import numpy as np, seisops as so
        >>> so.Geometry.spread(np.linspace(50, 950, 91), depth=20, nsrc=5, dt=2, t=1000)
        Geometry(5 shots x 91 points, 501 samples of 2 ms)
        """
        points = points_of(x, y, depth)
        return cls(np.broadcast_to(points, (nsrc, *points.shape)), dt=dt, t=t, nt=nt)

    def _set_time(self, dt: float, t: float | None, nt: int | None = None) -> None:
        if not (np.isfinite(dt) and dt > 0):
            raise ValueError(f"The sampling interval dt must be positive, got {dt} ms.")
        if (t is None) == (nt is None):
            raise ValueError("Give either the recording time t (ms) or the number of samples nt.")
        if t is not None and not (np.isfinite(t) and t >= dt):
            raise ValueError(f"The recording time must be at least one sample of {dt} ms, got t = {t} ms.")
        if nt is not None and (int(nt) != nt or nt < 2):
            raise ValueError(f"nt must be a whole number of at least 2 samples, got {nt}.")
        self.dt = float(dt)
        self.nt = int(nt) if nt is not None else floor(t / dt * (1 + 1e-9)) + 1
        self.t = float(t) if t is not None else (self.nt - 1) * self.dt

    @cached_property
    def nsrc(self) -> int:
        """Number of shots."""
        return len(self.positions)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of points of every shot."""
        return tuple(map(len, self.positions))

    @cached_property
    def ragged(self) -> bool:
        """True if the shots differ in their number of points."""
        return len(set(self.counts)) > 1

    @property
    def npoint(self) -> int | tuple[int, ...]:
        """Number of points of every shot; a tuple when they differ."""
        return self.counts if self.ragged else self.counts[0]

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return self.positions[0].shape[1]

    @cached_property
    def lead(self) -> tuple[int, ...]:
        """The shot axis of every array of this survey: (nsrc,), or () for the one shot `geometry[i]`."""
        return () if self.single else (self.nsrc,)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        if self.ragged:
            return (sum(self.counts) * self.nt,)
        return (*self.lead, self.counts[0], self.nt)

    @property
    def time(self) -> NDArray:
        """Time of every sample, ms."""
        return np.arange(self.nt) * self.dt

    def split(self, d: ArrayLike) -> list[NDArray]:
        """Split flat or shaped data into the record (npoint, nt) of every shot."""
        d = np.asarray(d)
        total = sum(self.counts)
        if d.size != total * self.nt:
            raise ValueError(f"The data have {d.size} samples, {self} has {total * self.nt}.")
        rows, ends = d.reshape(total, self.nt), accumulate(self.counts)
        return [rows[end - n : end] for n, end in zip(self.counts, ends, strict=True)]

    def join(self, shots: Sequence[ArrayLike]) -> NDArray:
        """Join shot records into data of `shape`, the inverse of :meth:`split`."""
        shots = [np.asarray(s) for s in shots]
        shapes, expected = [s.shape for s in shots], [(n, self.nt) for n in self.counts]
        if shapes != expected:
            raise ValueError(f"The records have shapes {shapes}, {self} expects {expected}.")
        return np.concatenate(shots).reshape(self.shape)

    def resampled(self, dt: float) -> Geometry:
        """Sample the same points for as long every `dt` ms; :func:`seisops.resample` does it to the data."""
        other = self._copy()
        other._set_time(dt, self.t)
        return other

    def _copy(self, **changes) -> Geometry:
        other = object.__new__(Geometry)
        said = {name: getattr(self, name) for name in ("positions", "single", "dt", "nt", "t")}
        other.__dict__.update(said | changes)
        return other

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for p in self.positions:
            p.flags.writeable = False

    def __len__(self) -> int:
        return self.nsrc

    def __getitem__(self, index: int | slice | Sequence[int]) -> Geometry:
        """Select the shots that `data[index]` holds; a whole number drops the shot axis, as it does for an array."""
        if self.single:
            raise IndexError(f"{self} is one shot already: it has no shot axis to index.")
        chosen = shot_indices(index, self.nsrc)
        single = isinstance(index, (int, np.integer))
        return self._copy(positions=tuple(self.positions[i] for i in chosen), single=single)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Geometry):
            return NotImplemented
        times = (self.dt, self.nt, self.t, self.single, self.counts, self.ndim)
        return times == (other.dt, other.nt, other.t, other.single, other.counts, other.ndim) and all(
            np.array_equal(p, o) for p, o in zip(self.positions, other.positions, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.dt, self.nt, self.single, self.counts, self.ndim))

    def _repr_html_(self) -> str:
        points = np.concatenate(self.positions)
        axes = "xz" if self.ndim == 2 else "xyz"
        rows = [("shots", str(self.nsrc)), ("points of a shot", repr(self).partition(" x ")[2].partition(" ")[0])]
        rows += [(a, f"{x.min():g} to {x.max():g} m") for a, x in zip(axes, points.T, strict=True)]
        rows.append(("time", f"0 to {(self.nt - 1) * self.dt:g} ms, {self.nt} samples of {self.dt:g} ms"))
        return card("Geometry", rows)

    def __repr__(self) -> str:
        low, high = min(self.counts), max(self.counts)
        points = f"{low}-{high}" if self.ragged else f"{low}"
        return (
            f"Geometry({self.nsrc} shot{'s' * (self.nsrc != 1)} x {points} point{'s' * (high != 1)}, "
            f"{self.nt} samples of {self.dt:g} ms)"
        )


def shot_indices(index: int | slice | Sequence[int], nsrc: int) -> list[int]:
    """List the shots `index` selects among `nsrc`, as NumPy would; at least one."""
    if isinstance(index, (bool, np.bool)) or (not isinstance(index, slice) and np.ndim(index) > 1):
        raise IndexError(f"Shots are a whole number, a slice or a list of whole numbers, not {index}.")
    try:
        chosen = np.atleast_1d(np.arange(nsrc)[index if isinstance(index, slice) else np.asarray(index)]).tolist()
    except IndexError as error:
        raise IndexError(f"Shots {index} do not exist among {nsrc} (0 to {nsrc - 1}).") from error
    if not chosen:
        raise IndexError(f"Shots {index} select nothing among {nsrc}.")
    return chosen
