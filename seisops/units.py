"""Numbers that can only be of another unit, refused, and those that hardly are of this one, warned of.

What is said of lengths and times is said of their ratios, cells and time steps, so that it holds for a sample in a
laboratory as it does for the crust.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seisops.notices import SetupWarning, warn

# Nothing on earth is faster, and no rock so slow in m/s: the fastest, diamond, has 18 km/s.
FASTEST = 20.0
# The smallest step that anybody takes of the one that is stable; of one in seconds there are a thousand.
SMALLEST_STEP = 1 / 500
# Samples for every time step beyond which a sampling interval is hardly in ms.
SAMPLES_A_STEP = 100
# How many times waves cross a model before the time or the spacing is hardly in its unit.
CROSSINGS = 500
# Velocities that rocks and water have, which as squared slownesses are those of soils and gases.
ROCKS = (1.4, 8.5)

PREFIXES = {"m": "km", "ms": "s", "kHz": "Hz"}


class UnitsWarning(SetupWarning):
    """A number that would make sense in another unit."""


def check_velocity(what: str, v: float, remedy: str) -> None:
    """Refuse a velocity that can only be in m/s."""
    if v > FASTEST:
        raise ValueError(
            f"{what}, {v:.4g} km/s, is faster than any rock: it can only be in m/s. Velocities are in km/s here "
            f"({v / 1000:.4g} for {v:.4g} m/s): {remedy}."
        )


def check_time_step(dt: float, stable: float) -> None:
    """Refuse a time step that can only be in seconds."""
    if dt < SMALLEST_STEP * stable:
        raise ValueError(
            f"The time step dt = {dt:g} ms is {stable / dt:.3g} times smaller than the largest stable one, "
            f"{stable:.4g} ms. Times are in ms here: {dt:g} s is dt={1000 * dt:g}; without dt= the model chooses."
        )


def check_times(dt: float, t: float, model) -> None:
    """Refuse a time axis that can only be in seconds, warn of one that hardly is in ms.

    Parameters
    ----------
    dt, t : float, ms
        Sampling interval and recording time.
    model : Model
    """
    h, travel, cell = model.dt, model.vmax * t, min(model.spacing)
    crossing = max(high - low for low, high in model.extent)
    seconds = f"Times are in ms here: {t:g} s is t={1000 * t:g}, {dt:g} s is dt={1000 * dt:g}."
    how = f"In t = {t:g} ms the fastest wave travels {travel:.3g} m"
    if travel < cell:
        raise ValueError(f"{how}, less than a cell of {cell:g} m. {seconds}")
    if h > SAMPLES_A_STEP * dt and travel < 0.1 * crossing:
        raise ValueError(
            f"{how} of a model of {crossing:.4g} m, and dt = {dt:g} ms is {h / dt:.3g} times finer than the time step, "
            f"{h:.3g} ms. {seconds}"
        )
    if h > SAMPLES_A_STEP * dt:
        warn(
            f"dt = {dt:g} ms samples the data {h / dt:.3g} times finer than the time step, {h:.3g} ms. {seconds}",
            UnitsWarning, told=model.told, cause="dt",
        )  # fmt: skip
    if travel > CROSSINGS * crossing:
        warn(
            f"{how}, {travel / crossing:.3g} times through a model of {crossing:.3g} m. Times are in ms, spacing is in "
            f"m here: a spacing of {cell:g} km is spacing={1000 * cell:g}.",
            UnitsWarning, told=model.told, cause="crossings",
        )  # fmt: skip


def warn_of_slownesses(m: NDArray, title: str = "m") -> None:
    """Warn of velocities given as squared slownesses: those of rocks, which as slownesses become slower with depth."""
    low, high = float(m.min()), float(m.max())
    third = max(1, m.shape[-1] // 3)
    above, below = m[..., :third].mean(), m[..., -third:].mean()
    if ROCKS[0] <= low and high <= ROCKS[1] and below > 1.1 * above:
        warn(
            f"{title} from {low:.3g} to {high:.3g} s²/km² are velocities from {high**-0.5:.3g} to {low**-0.5:.3g} km/s,"
            f" slower with depth. If they are velocities in km/s, give them as v=, or m = 1 / v**2.",
            UnitsWarning,
        )


def warn_of_other_name(name: str, given: NDArray, old, new) -> None:
    """Warn where the velocities of a model are given as its squared slownesses, or the other way round.

    Parameters
    ----------
    name : {"m", "v"}
    given : array
        Values under that name, which make the model `new` of the model `old`.
    """
    if new.fastest >= old.slowest / 1.5:
        return
    meant = (old.slowest, old.fastest) if name == "m" else (old.fastest**-2, old.slowest**-2)
    if meant[0] / 1.25 <= given.min() and given.max() <= 1.25 * meant[1]:
        other, words = ("v", "velocities") if name == "m" else ("m", "squared slownesses")
        warn(
            f"at({name}=...) with values from {given.min():.3g} to {given.max():.3g} makes a model of "
            f"{new.slowest:.3g} to {new.fastest:.3g} km/s out of one of {old.slowest:.3g} to {old.fastest:.3g} km/s. "
            f"If they are {words}, write at({other}=...).",
            UnitsWarning, told=old.told, cause=("at", name),
        )  # fmt: skip


def check_positions(points: NDArray, model) -> None:
    """Refuse positions that can only be in km, and warn of those that are hardly anything but indices of the grid."""
    if points.shape[1] != model.ndim:
        return
    first, h, n = np.array(model.origin), np.array(model.spacing), np.array(model.shape)
    low, high = points.min(axis=0), points.max(axis=0)
    span = high - low
    if not span.any():
        return
    if np.all(high < first + h) and np.all(1000 * low >= first) and np.all(1000 * high <= first + (n - 1 + 1e-6) * h):
        raise ValueError(
            f"All {len(points)} points of the survey lie in the first cell of the model, within {max(span):.3g} m of "
            f"one another; cells have {max(h):g} m. Positions are in m here: for those in km, 1000 * positions."
        )
    as_indices = h[0] >= 4 and span[0] >= 0.75 * (n[0] - 1) and np.all(high <= n - 1) and not first.any()
    if as_indices and np.all(points == np.rint(points)):
        warn(
            f"The points of the survey are whole numbers and span {span[0]:g} m of a model of {(n[0] - 1) * h[0]:g} m "
            f"with {n[0]} grid points. Positions are in m here: those of grid points i are i * spacing, "
            f"{span[0] * h[0]:g} m from the first to the last.",
            UnitsWarning, told=model.told, cause="indices",
        )  # fmt: skip


def hint_outside(points: NDArray, extent: tuple) -> str:
    """What may have been meant by points outside of a model; empty where that is unknown."""
    low, high = np.array(extent).T
    if np.all((1000 * points >= low - 1e-6) & (1000 * points <= high + 1e-6)):
        return f" Positions are in m here; as km they lie inside: {_listed(1000 * points[0])} m for the first."
    if np.any(points > 10 * high) and np.all((points / 1000 >= low) & (points / 1000 <= high)):
        return " Spacing and origin are in m here too: those in km are spacing=1000 * spacing."
    turned = points[:, ::-1] if points.shape[1] == 2 else points
    if points.shape[1] == 2 and np.all((turned >= low - 1e-6) & (turned <= high + 1e-6)):
        return " With x and depth exchanged they lie inside: arrays of a model have axes (x, z), depth last; give v.T."
    return ""


def warn_if_below(value: float, step: float, what: str, unit: str, of: str) -> None:
    """Warn of a length or a time that is less than what it is counted in, and does nothing."""
    if 0 < value < step:
        warn(
            f"{what} of {value:g} {unit} is less than {of} of {step:g} {unit}, and does nothing. It is in {unit} here: "
            f"{value:g} {PREFIXES[unit]} is {1000 * value:g}.",
            UnitsWarning,
        )


def hertz(f: float) -> str:
    """What to write for a frequency that was given in Hz."""
    return f"Frequencies are in kHz here: {f:g} Hz is {f / 1000:g}."


def _listed(point: NDArray) -> str:
    return "(" + ", ".join(f"{x:g}" for x in point) + ")"
