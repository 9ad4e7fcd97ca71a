"""Earth models to start with: generated ones, and those in files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from seisops.arrays import real
from seisops.segy import file as segy

# The section of the documentation's pictures: its structures stand where they show well.
REFERENCE = 7


def faulted(
    shape: tuple[int, int] = (321, 121), spacing: ArrayLike = 12.5, *, water: float = 150.0, seed: int = REFERENCE
) -> NDArray:
    """A layered section with folds, two faults, a gas lens and a fast wedge under water.

    Parameters
    ----------
    shape : (nx, nz)
    spacing : float or (float, float), m
    water : float, m
        Depth of the sea floor.
    seed : int
        Another seed, another section of the same kind: other layers and folds, and faults, lens and wedge elsewhere.

    Returns
    -------
    array (nx, nz), km/s
        Velocity from 1.5 (water) to about 4.2.

    Examples
    --------
    >>> import seisops as so
    >>> v = so.models.faulted((161, 81), 25.0)
    >>> v.shape, float(v.min())
    ((161, 81), 1.5)
    """
    rng = np.random.default_rng(seed)
    nx, nz = shape
    dx, dz = np.broadcast_to(np.asarray(spacing, float), (2,))
    length, depth = (nx - 1) * dx, (nz - 1) * dz
    x, z = np.meshgrid(np.linspace(0, 1, nx), np.linspace(0, depth, nz), indexing="ij")

    phase, structure = rng.uniform(0, 1), np.random.default_rng([seed, 1])

    def draw(reference: float, low: float, high: float) -> float:
        return reference if seed == REFERENCE else structure.uniform(low, high)

    # Undo the deformation: where in the flat section the rock at (x, z) was laid down.
    fold = 0.045 * depth * np.sin(2 * np.pi * (draw(1.3, 0.7, 1.9) * x + phase)) * (z / depth)
    dip = draw(0.06, -0.08, 0.08) * depth * (x - 0.5)
    flat = z - fold - dip
    faults = (
        (draw(0.36, 0.15, 0.45), draw(0.35, 0.1, 0.5), draw(0.055, -0.07, 0.07)),
        (draw(0.66, 0.55, 0.85), draw(-0.28, -0.5, -0.1), draw(-0.045, -0.07, 0.07)),
    )
    for position, slope, throw in faults:
        right = x * length > position * length + slope * (z - 0.4 * depth)
        flat = flat - np.where(right, throw * depth, 0.0) * np.clip((z - water) / (0.15 * depth), 0, 1)

    thickness = rng.uniform(0.6, 1.4, 22)
    tops = water + np.cumsum(thickness) / thickness.sum() * 1.25 * (depth - water)
    trend = np.linspace(1.75, 3.9, len(tops) + 1)
    velocity = trend + rng.uniform(-0.22, 0.22, len(trend))
    v = velocity[np.searchsorted(tops, flat)] + 0.25 * (z - water) / depth

    middle, deep = draw(0.5, 0.15, 0.85), draw(0.42, 0.3, 0.65)
    lens = ((x - middle) / 0.09) ** 2 + ((z - deep * depth) / (0.035 * depth)) ** 2 < 1
    top, height = draw(0.8, 0.05, 0.95), draw(0.25, 0.1, 0.3)
    wedge = (z > depth * (0.97 - height * np.exp(-(((x - top) / 0.13) ** 2)))) & (z > water)
    v = np.where(lens, v - 0.45, v)
    v = np.where(wedge, 4.2, v)
    v = gaussian_filter1d(v, 0.6, axis=1)
    floor = water * (1 + 0.06 * np.sin(2 * np.pi * 1.7 * x))
    return np.where(z < floor, 1.5, np.maximum(v, 1.6))


def smooth(v: ArrayLike, sigma: float | tuple[float, ...], *, keep: ArrayLike | None = None) -> NDArray:
    """A starting model: the slowness smoothed by a Gaussian.

    Parameters
    ----------
    v : array, km/s
    sigma : float or one per axis, cells
        Standard deviation of the Gaussian.
    keep : bool array like `v`, optional
        Where the velocity is known and stays, such as the water.

    Returns
    -------
    array like `v`, km/s

    Examples
    --------
    >>> import seisops as so
    >>> v = so.models.faulted((161, 81), 25.0)
    >>> v0 = so.models.smooth(v, 6, keep=v <= 1.5)
    """
    v = real(v, "A velocity")
    if keep is None:
        return 1 / gaussian_filter(1 / v, sigma, mode="nearest")
    # Normalised by what is rock, so that the water does not leak into it.
    rock = (~np.asarray(keep)).astype(float)
    slowness = gaussian_filter(rock / v, sigma, mode="nearest")
    weight = gaussian_filter(rock, sigma, mode="nearest")
    return np.where(keep, v, np.maximum(weight, 1e-12) / np.maximum(slowness, 1e-12))


def load(
    path: str | Path, spacing: ArrayLike | None = None, *, dataset: str | None = None
) -> tuple[NDArray, tuple[float, ...]]:
    """A velocity model from a file.

    Parameters
    ----------
    path : path to `.npy`, `.h5` or SEG-Y (`.segy`, `.sgy`)
        NumPy: the velocity, axes (x, z) or (x, y, z). HDF5: `v` (km/s) or `m` (s²/km²) with the spacing `d`, and the
        shape `n` where the axes are stored in reverse. SEG-Y: a trace for every x, samples in depth.
    spacing : float or sequence of float, m, optional
        Needed where the file does not say.
    dataset : str, optional
        Which of an HDF5 file, a velocity if its name begins with v, a squared slowness if with m.

    Returns
    -------
    v : array, axes (x, z) or (x, y, z), km/s
        Files in m/s are recognised by values above 100.
    spacing : tuple of float, m

    Raises
    ------
    ValueError
        For another kind of file, or one without spacing or velocities.

    Examples
    --------
    >>> import numpy as np, seisops as so, tempfile, os
    >>> name = os.path.join(tempfile.mkdtemp(), "model.npy")
    >>> np.save(name, np.full((20, 10), 2000.0))
    >>> v, spacing = so.models.load(name, spacing=10)
    >>> float(v.max()), spacing
    (2.0, (10.0, 10.0))
    """
    path = Path(path)
    readers = {".npy": _from_numpy, ".h5": _from_hdf5, ".hdf5": _from_hdf5, ".segy": _from_segy, ".sgy": _from_segy}
    if path.suffix.lower() not in readers:
        raise ValueError(f"A velocity model is a file of {', '.join(readers)}; got {path.name}.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    reader = readers[path.suffix.lower()]
    if dataset is not None and reader is not _from_hdf5:
        raise ValueError(f"{path.name} is no HDF5 file: it has one model and no dataset {dataset!r}.")
    v, found = reader(path, dataset) if reader is _from_hdf5 else reader(path)
    spacing = found if spacing is None else spacing
    if spacing is None:
        raise ValueError(f"{path.name} does not say its grid spacing; give spacing=(dx, dz) in m.")
    v = v / 1000 if np.nanmax(v) > 100 else v
    return v, tuple(float(s) for s in np.broadcast_to(np.asarray(spacing, float), (v.ndim,)))


def _from_numpy(path: Path) -> tuple[NDArray, None]:
    return np.load(path).astype(float), None


def _from_hdf5(path: Path, dataset: str | None = None) -> tuple[NDArray, ArrayLike | None]:
    import h5py

    with h5py.File(path) as file:
        names = ("v", "m") if dataset is None else (dataset,)
        name = next((name for name in names if name in file and name[0] in "vm"), None)
        if name is None:
            raise ValueError(f"{path.name} holds no {' and no '.join(names)}, but {sorted(file)}.")
        v = np.array(file[name], float)
        v = v if name.startswith("v") else 1 / np.sqrt(v)
        if "n" in file and tuple(np.ravel(file["n"])) == v.shape[::-1] != v.shape:
            v = v.T
        return v, np.ravel(file["d"]).astype(float) if "d" in file else None


def _from_segy(path: Path) -> tuple[NDArray, tuple[float, float] | None]:
    file = segy.inspect(path)
    if file.feet:
        raise ValueError(f"{path.name} is in feet: convert it to m and m/s.")
    x, intervals = np.empty(file.ntrace), Counter()
    for first, h in file.headers(("CDP_X", "SourceGroupScalar", "TRACE_SAMPLE_INTERVAL")):
        x[first : first + len(h)] = segy.scaled(h["CDP_X"], h["SourceGroupScalar"])
        intervals.update(h["TRACE_SAMPLE_INTERVAL"].tolist())
    dx, dz = float(np.median(np.abs(np.diff(x)))) if len(x) > 1 else 0.0, file.agreed_interval(intervals) / 1000
    return file.traces(np.arange(file.ntrace)).astype(float), (dx, dz) if dx > 0 and dz > 0 else None
