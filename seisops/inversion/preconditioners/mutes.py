"""Mutes: what comes before or after the direct wave is taken out of records."""

from __future__ import annotations

from functools import partial

from numpy.typing import DTypeLike
from pylops import Diagonal
from scipy.spatial.distance import cdist

from seisops.geometry import Geometry
from seisops.inversion.preconditioners.ramps import rise
from seisops.inversion.preconditioners.shotwise import ShotWise
from seisops.units import check_velocity, warn_if_below


def reflection_mute(
    rec: Geometry, src: Geometry, *, velocity: float, t0: float, taper: float = 0.0, dtype: DTypeLike = "float32"
) -> ShotWise:
    r"""Keeps reflections: what comes after the direct wave.

    .. math:: t > |x_r - x_s| / v + t_0

    Parameters
    ----------
    rec, src : Geometry
        Receivers and sources of the same shots; of several sources the nearest counts.
    velocity : float, km/s
        Of the direct wave, such as 1.5 in water.
    t0 : float, ms
        How long the direct wave lasts: the length of the wavelet.
    taper : float, ms
        Length of the smooth rise after the mute.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data

    Raises
    ------
    ValueError
        If the velocity is not positive, the taper negative, or the geometries have different shots.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> src = so.Geometry([[[0.0, 0.0]]], dt=4.0, t=400.0)
    >>> rec = so.Geometry([[[0.0, 0.0], [150.0, 0.0]]], dt=4.0, t=400.0)
    >>> P = so.preconditioners.reflection_mute(rec, src, velocity=1.5, t0=60)
    >>> ((P @ np.ones(rec.shape))[0].argmax(axis=1) * rec.dt).tolist()
    [60.0, 160.0]
    """
    return _direct_wave(_later, "ReflectionMute", rec, src, velocity, t0, taper, dtype)


def turning_mute(
    rec: Geometry, src: Geometry, *, velocity: float, t0: float, taper: float = 0.0, dtype: DTypeLike = "float32"
) -> ShotWise:
    r"""Keeps turning waves: what comes before a straight line in time and offset; one minus :func:`reflection_mute`.

    .. math:: t < |x_r - x_s| / v + t_0

    Parameters
    ----------
    rec, src : Geometry
        Receivers and sources of the same shots; of several sources the nearest counts.
    velocity : float, km/s
        Of the line.
    t0 : float, ms
        Time of the line at zero offset.
    taper : float, ms
        Length of the smooth fall after the line.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data

    Raises
    ------
    ValueError
        If the velocity is not positive, the taper negative, or the geometries have different shots.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> src = so.Geometry([[[0.0, 0.0]]], dt=4.0, t=400.0)
    >>> rec = so.Geometry([[[0.0, 0.0], [150.0, 0.0]]], dt=4.0, t=400.0)
    >>> P = so.preconditioners.turning_mute(rec, src, velocity=1.5, t0=60)
    >>> ((P @ np.ones(rec.shape))[0].sum(axis=1) * rec.dt).tolist()
    [60.0, 160.0]
    """
    return _direct_wave(_earlier, "TurningMute", rec, src, velocity, t0, taper, dtype)


def _direct_wave(weights, name, rec, src, velocity, t0, taper, dtype) -> ShotWise:
    if not velocity > 0:
        raise ValueError(f"The velocity of a mute must be positive, got {velocity} km/s.")
    check_velocity("The velocity of the mute", velocity, f"velocity={velocity / 1000:.4g}")
    warn_if_below(t0, rec.dt, "The time t0", "ms", "a sample")
    warn_if_below(taper, rec.dt, "The taper", "ms", "a sample")
    if not taper >= 0:
        raise ValueError(f"The taper of a mute is 0 or more, got {taper} ms.")
    return ShotWise(partial(_mute, weights, velocity, t0, taper), rec, src, name=name, dtype=dtype)


def _mute(weights, velocity: float, t0: float, taper: float, rec: Geometry, src: Geometry) -> Diagonal:
    offsets = cdist(rec.positions[0], src.positions[0]).min(axis=1)
    arrivals = (offsets / velocity + t0)[:, None]
    return Diagonal(weights(rec.time, arrivals, arrivals + taper))


def _later(t, start, end):
    return rise(t, start, end)


def _earlier(t, start, end):
    return 1 - rise(t, start, end)
