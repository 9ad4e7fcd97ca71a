"""Shot records that stay in their files, and the survey they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from glob import glob
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seisops.arrays import shot_indices
from seisops.geometry import Geometry
from seisops.segy import survey
from seisops.segy.file import SegyFile, inspect

Paths = str | PathLike | Sequence[str | PathLike]


class Shots:
    """Shot records that stay in their files until they are asked for.

    ``data[i]`` reads one record, an array (npoint, nt), as the data of ``F[i]``; ``data[2:8]`` and ``data[[0, 3]]``
    select without reading; ``np.asarray(data)`` reads all of them into ``shape``. No file stays open, so shots may be
    read from several threads or processes at once.

    Attributes
    ----------
    shape : tuple of int
        (nsrc, npoint, nt); (size,) when the shots differ in their receivers.
    dtype : NumPy dtype
        float32, or float64 where the samples need it.
    """

    def __init__(self, files: Sequence[SegyFile], traces: Sequence[NDArray], rec: Geometry) -> None:
        self.files, self.rec = tuple(files), rec
        self.dtype = np.result_type(np.float32, *(file.dtype for file in files))
        self._traces = tuple(traces)
        self._starts = np.cumsum([0, *(file.ntrace for file in files)])[:-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all the data, that of the receivers' geometry."""
        return self.rec.shape

    @property
    def size(self) -> int:
        """Number of samples."""
        return sum(self.rec.counts) * self.rec.nt

    def __len__(self) -> int:
        return len(self._traces)

    def __iter__(self) -> Iterator[NDArray]:
        return (self._record(i) for i in range(len(self)))

    def __getitem__(self, index: int | slice | Sequence[int]) -> NDArray | Shots:
        chosen = shot_indices(index, len(self))
        if isinstance(index, (int, np.integer)):
            return self._record(chosen[0])
        return Shots(self.files, [self._traces[i] for i in chosen], self.rec[chosen])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        if copy is False:
            raise ValueError("Shots in a file become an array by a copy only.")
        data = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for record, place in zip(self, self.rec.split(data), strict=True):
            place[...] = record
        return data

    def _record(self, i: int) -> NDArray:
        numbers = self._traces[i]
        which = np.searchsorted(self._starts, numbers, side="right") - 1
        record = np.zeros((len(numbers), self.rec.nt), self.dtype)
        for k in np.unique(which):
            rows, file = np.flatnonzero(which == k), self.files[k]
            samples = file.traces(numbers[rows] - self._starts[k])
            bad = np.flatnonzero(~np.isfinite(samples).all(axis=1))
            if len(bad):
                trace = int(numbers[rows[bad[0]]] - self._starts[k])
                raise ValueError(
                    f"{file.path} has samples that are not finite, in {len(bad)} traces of shot {i}, the first of them "
                    f"trace {trace} of the file: it is damaged, or its format is not {file.format} as it says."
                )
            record[rows] = samples
        return record

    def __repr__(self) -> str:
        files = f"{len(self.files)} file{'s' * (len(self.files) != 1)}"
        return repr(self.rec).replace("Geometry", "Shots")[:-1] + f", {self.dtype.name}, {files})"


def read(
    paths: Paths,
    *,
    dt: float | None = None,
    delay: float | None = None,
    ndim: int | None = None,
    source_z: str | float = "SourceDepth - SourceSurfaceElevation",
    receiver_z: str | float = "-ReceiverGroupElevation",
    shot: str = "FieldRecord",
    endian: str = "big",
) -> tuple[Shots, Geometry, Geometry]:
    """Shot records with their survey; of the files nothing but the headers is read.

    A shot is the traces that agree in the header word `shot` and in the position of their source, wherever they
    stand in whichever file. Shots come in the order in which they first appear, traces in the order of the files.
    What no receiver recorded (dead and auxiliary traces) is left out, with a warning. Positions in feet become m;
    trace weighting factors are not applied.

    Parameters
    ----------
    paths : path, pattern such as ``"line7/*.segy"``, or sequence of paths
        A pattern's files are taken in alphabetical order.
    dt : float, ms, optional
        Sampling interval, in place of that of the headers.
    delay : float, ms, optional
        Time of the first sample after the shot, ``rec.t0``, in place of that of the headers.
    ndim : {2, 3}, optional
        Number of coordinates. By default 3, (x, y, z), where x and y both vary in the survey, and 2 else: (x, z), or
        (y, z) where only y varies. With 2, a survey where both vary is projected onto the line that fits it best,
        and x is the distance along it; a warning says how far off the points lie.
    source_z, receiver_z : str or float
        Depth, positive downwards: a sum of the header words ReceiverGroupElevation, SourceSurfaceElevation,
        SourceDepth, ReceiverDatumElevation, SourceDatumElevation, SourceWaterDepth and GroupWaterDepth with their
        signs, or a depth in m. The default is the standard's: elevations point upwards. For files that keep depths
        in the words of elevations, such as JUDI's: ``source_z="SourceSurfaceElevation"``,
        ``receiver_z="ReceiverGroupElevation"``.
    shot : str
        Header word that tells shots apart, such as FieldRecord or EnergySourcePoint.
    endian : {"big", "little"}
        Byte order.

    Returns
    -------
    data : Shots
        ``data[i]`` reads shot i, an array (npoint, nt).
    src, rec : Geometry
        Positions in m, sampling in ms. The sources have the time axis of the records, or one from 0 to their end where
        recording starts after the shot.

    Warns
    -----
    UserWarning
        Where the headers disagree in the sampling interval or lack it: it says what was taken.

    Raises
    ------
    ValueError
        For a file that is no SEG-Y, is truncated or contradicts itself, has no usable sampling interval, has
        positions in degrees, or does not fit the other files; the message names the file.
    OSError
        For a file that is not there or cannot be read.

    References
    ----------
    SEG Technical Standards Committee, 2002, SEG Y rev 1 Data Exchange format, Society of Exploration Geophysicists.

    Examples
    --------
    >>> import numpy as np, seisops as so, tempfile, os
    >>> x = np.linspace(100, 900, 3)
    >>> src = so.Geometry(np.stack([x, 0 * x + 6], 1)[:, None], dt=4.0, nt=50)
    >>> rec = so.Geometry(np.stack([x, 0 * x + 12], 1)[None].repeat(3, 0), dt=4.0, nt=50)
    >>> name = os.path.join(tempfile.mkdtemp(), "line.segy")
    >>> so.segy.write(name, np.ones(rec.shape, "float32"), src, rec)
    >>> data, src, rec = so.segy.read(name)
    >>> data
    Shots(3 shots x 3 points, 50 samples of 4 ms, float32, 1 file)
    >>> data[1].shape, len(data[:2]), rec.positions[0][1].tolist()
    ((3, 50), 2, [500.0, 12.0])
    """
    for name, value, fine in (("ndim", ndim, ndim in (2, 3)), ("dt", dt, dt is not None and 0 < dt < np.inf),
                              ("delay", delay, delay is not None and np.isfinite(delay))):  # fmt: skip
        if value is not None and not fine:
            raise ValueError(f"{name} cannot be {value}.")
    depths = survey.terms("source_z", source_z), survey.terms("receiver_z", receiver_z)
    files = [inspect(path, endian) for path in _expand(paths)]
    starts = np.cumsum([0, *(file.ntrace for file in files)])
    # A row for every trace: what tells its shot, the position of its source, that of its receiver.
    table, live = np.empty((starts[-1], 7)), np.empty(starts[-1], bool)
    axes = []
    for file, first, end in zip(files, starts, starts[1:], strict=False):
        intervals, delays = survey.scan(file, shot, depths, table[first:end], live[first:end])
        step = survey.interval(file, intervals) if dt is None else float(dt)
        axes.append((file.nt, step, survey.first_time(file, delays if delay is None else {float(delay)}, step)))
        survey.check_alike(files[0], axes[0], file, axes[-1])
    numbers = survey.left(files, live)
    table = table if len(numbers) == len(live) else table[numbers]
    order, counts = survey.gather(table[:, :4])
    survey.look_for_the_end(files, live, counts)
    columns = np.array(survey.columns(files, table, ndim))
    table, ends = table[order], np.cumsum(counts)
    nt, step, t0 = axes[0]
    rec = Geometry(np.split(table[:, 4 + columns], ends[:-1]), dt=step, nt=nt, t0=t0)
    fired = table[ends - counts][:, None, 1 + columns]
    # Sources fire at 0 at the latest.
    src = Geometry(fired, dt=step, t=rec.end) if t0 > 0 else Geometry(fired, dt=step, nt=nt, t0=t0)
    return Shots(files, np.split(numbers[order], ends[:-1]), rec), src, rec


def _expand(paths: Paths) -> list[Path]:
    if isinstance(paths, (str, PathLike)):
        pattern = None if Path(paths).exists() else re.search(r"[*?[]", str(paths))
        found = [Path(path) for path in (sorted(glob(str(paths))) if pattern else [paths])]
    else:
        found = [Path(path) for path in paths]
    if not found:
        raise FileNotFoundError(f"There is no file {paths}.")
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
    if len({path.resolve() for path in found}) < len(found):
        raise ValueError(f"A file stands twice in {[str(path) for path in found]}.")
    return found
