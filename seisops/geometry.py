"""Where and when a survey measures: the points of every shot and the time axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.arrays import shot_indices
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
    t0 : float, ms
        Time of the first sample. Sources fire at 0 where their wavelets say so: receivers that start to record later
        have t0 > 0, axes of zero-phase wavelets t0 < 0.

    Attributes
    ----------
    nsrc, nt : int
        Number of shots and of samples.
    npoint : int or tuple of int
        Points of every shot, a tuple when the shots differ.
    shape : tuple of int
        Shape of the data, (nsrc, npoint, nt); (size,) when the shots differ.
    time : array (nt,), ms
        From t0 to t0 + t.
    onset, end : float, ms
        When waves set out, at 0 or with the first sample if that is earlier, and when recording ends. Sources and
        receivers of one product agree in both.

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
        t0: float = 0.0,
    ) -> None:
        self.positions = positions_of(positions)
        self.single = False
        self._set_time(dt, t, nt, t0)

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
        t0: float = 0.0,
    ) -> Geometry:
        """Put one point in every shot: sources along a line.

        Parameters
        ----------
        x, depth : float or array, m
            Where shot after shot fires; what is a single number holds for all.
        y : float or array, m, optional
            The second horizontal axis of a survey in 3-D. A grid of sources is ``x[:, None]`` with ``y[None]``.
        dt, t, nt, t0
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
        return cls(points_of(x, y, depth)[:, None], dt=dt, t=t, nt=nt, t0=t0)

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
        t0: float = 0.0,
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
        dt, t, nt, t0
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
        return cls(np.broadcast_to(points, (nsrc, *points.shape)), dt=dt, t=t, nt=nt, t0=t0)

    def _set_time(self, dt: float, t: float | None, nt: int | None, t0: float) -> None:
        if not (np.isfinite(dt) and dt > 0):
            raise ValueError(f"The sampling interval dt must be positive, got {dt} ms.")
        if (t is None) == (nt is None):
            raise ValueError("Give either the recording time t (ms) or the number of samples nt.")
        if t is not None and not (np.isfinite(t) and t >= dt):
            raise ValueError(f"The recording time must be at least one sample of {dt} ms, got t = {t} ms.")
        if nt is not None and (int(nt) != nt or nt < 2):
            raise ValueError(f"nt must be a whole number of at least 2 samples, got {nt}.")
        if not np.isfinite(t0):
            raise ValueError(f"The time of the first sample, t0, must be finite, got {t0} ms.")
        self.dt, self.t0 = float(dt), float(t0)
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
        return self.t0 + np.arange(self.nt) * self.dt

    @cached_property
    def onset(self) -> float:
        """When waves set out, ms: at 0, or with the first sample if that is earlier."""
        return min(self.t0, 0.0)

    @cached_property
    def end(self) -> float:
        """When recording ends, ms."""
        return self.t0 + self.t

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

    def resampled(self, dt: float, *, t0: float | None = None) -> Geometry:
        """Sample the same points until the same end every `dt` ms, from `t0` on; :func:`seisops.resample` does data."""
        other, t0 = self._copy(), self.t0 if t0 is None else t0
        other._set_time(dt, self.t if t0 == self.t0 else self.end - t0, None, t0)
        return other

    def _copy(self, **changes) -> Geometry:
        other = object.__new__(Geometry)
        said = {name: getattr(self, name) for name in ("positions", "single", "dt", "nt", "t", "t0")}
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
        times = (self.dt, self.nt, self.t, self.t0, self.single, self.counts, self.ndim)
        return times == (other.dt, other.nt, other.t, other.t0, other.single, other.counts, other.ndim) and all(
            np.array_equal(p, o) for p, o in zip(self.positions, other.positions, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.dt, self.nt, self.t0, self.single, self.counts, self.ndim))

    def _repr_html_(self) -> str:
        points = np.concatenate(self.positions)
        axes = "xz" if self.ndim == 2 else "xyz"
        rows = [("shots", str(self.nsrc)), ("points of a shot", repr(self).partition(" x ")[2].partition(" ")[0])]
        rows += [(a, f"{x.min():g} to {x.max():g} m") for a, x in zip(axes, points.T, strict=True)]
        rows.append(("time", f"{self.t0:g} to {self.time[-1]:g} ms, {self.nt} samples of {self.dt:g} ms"))
        return card("Geometry", rows)

    def __repr__(self) -> str:
        low, high = min(self.counts), max(self.counts)
        points = f"{low}-{high}" if self.ragged else f"{low}"
        return (
            f"Geometry({self.nsrc} shot{'s' * (self.nsrc != 1)} x {points} point{'s' * (high != 1)}, "
            f"{self.nt} samples of {self.dt:g} ms{f' from {self.t0:g} ms' * bool(self.t0)})"
        )
