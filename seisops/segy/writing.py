"""Shot records with their survey, written."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.geometry import Geometry
from seisops.segy.file import scaled, segyio
from seisops.segy.reading import Shots

FORMATS = {"ieee": 5, "ibm": 1, "double": 6}
SCALARS = (1, -10, -100, -1000, -10000)
LARGEST = 2**31 - 1
# What sums of decimal fractions may be off, m.
ROUNDING = 1e-8


def write(
    path: str | PathLike,
    data: ArrayLike | Shots,
    src: Geometry,
    rec: Geometry,
    *,
    format: str = "ieee",
    scalar: int | None = None,
) -> None:
    """Shot records with their survey, to a file that :func:`read` gives back.

    Samples come back bit for bit ("ieee" from float32, "double" from float64), positions as the nearest whole
    multiples of 1/abs(`scalar`) m. Depths are written as SourceDepth and, turned upwards, as
    ReceiverGroupElevation. Data that are :class:`Shots` are read and written shot by shot; the file appears when it
    is complete, so it may replace one that is being read.

    Parameters
    ----------
    path : path
    data : array of ``rec.shape``, or Shots
    src, rec : Geometry
        One source a shot. The time axis is that of the receivers.
    format : {"ieee", "ibm", "double"}
        float32, IBM's float (which keeps 6 to 7 digits), or float64, which few other programs read.
    scalar : {1, -10, -100, -1000, -10000}, optional
        Scalar of positions: -100 writes cm. By default the coarsest that is exact, or else the finest whose
        whole numbers fit into four bytes.

    Raises
    ------
    ValueError
        For data that do not fit the geometry or are not finite, several sources in a shot, a sampling interval that
        is no whole number of µs below 32.768 ms, more than 65535 samples, or positions too large for the scalar.

    References
    ----------
    SEG Technical Standards Committee, 2002, SEG Y rev 1 Data Exchange format, Society of Exploration Geophysicists.

    Examples
    --------
    >>> import numpy as np, seisops as so, tempfile, os
    >>> src = so.Geometry([[[100, 6]]], dt=4.0, nt=50)
    >>> rec = so.Geometry([[[200, 12.34], [300, 12.34]]], dt=4.0, nt=50)
    >>> so.segy.write(os.path.join(tempfile.mkdtemp(), "shot.segy"), np.ones(rec.shape), src, rec)
    """
    interval = _check_survey(data, src, rec, format)
    delay, time_scalar = _delay(rec.t0)
    positions = [np.concatenate(g.positions) for g in (src, rec)]
    xy_scalar = _choose_scalar(np.concatenate([p[:, :-1].ravel() for p in positions]), scalar)
    z_scalar = _choose_scalar(np.concatenate([p[:, -1] for p in positions]), scalar)
    # x, y and z, of which y is 0 in two dimensions.
    sources, receivers = (
        np.column_stack([_whole(p[:, 0], xy_scalar), _whole(p[:, 1] * (rec.ndim == 3), xy_scalar),
                         _whole(p[:, -1], z_scalar)])
        for p in positions
    )  # fmt: skip
    offsets = np.linalg.norm(positions[1][:, :-1] - np.repeat(positions[0][:, :-1], rec.counts, axis=0), axis=1)
    package, path = segyio(), Path(path)
    word, spec = package.TraceField, package.spec()
    spec.format, spec.samples, spec.tracecount = FORMATS[format], rec.time, len(receivers)
    part = path.with_name(f"{path.name}.part")
    try:
        with package.create(part, spec) as file:
            file.text[0] = package.create_text_header(_text(rec))
            file.bin.update(hdt=interval, dto=interval, ntrpr=0 if rec.ragged else min(rec.counts[0], 2**15 - 1),
                            nart=0, tsort=1, mfeet=1, rev=1, trflag=1)  # fmt: skip
            for k, (i, j, trace) in enumerate(_traces(data, rec, file.dtype)):
                sx, sy, sz, gx, gy, gz = (int(n) for n in (*sources[i], *receivers[k]))
                file.header[k] = {
                    word.TRACE_SEQUENCE_LINE: k + 1, word.TRACE_SEQUENCE_FILE: k + 1, word.FieldRecord: i + 1,
                    word.TraceNumber: j + 1, word.EnergySourcePoint: i + 1, word.TraceIdentificationCode: 1,
                    word.offset: min(round(offsets[k]), LARGEST), word.SourceX: sx, word.SourceY: sy,
                    word.SourceDepth: sz, word.GroupX: gx, word.GroupY: gy, word.ReceiverGroupElevation: -gz,
                    word.SourceGroupScalar: xy_scalar, word.ElevationScalar: z_scalar, word.CoordinateUnits: 1,
                    word.TRACE_SAMPLE_COUNT: rec.nt, word.TRACE_SAMPLE_INTERVAL: interval,
                    word.DelayRecordingTime: delay, word.ScalarTraceHeader: time_scalar,
                }  # fmt: skip
                file.trace[k] = trace
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _traces(data: ArrayLike | Shots, rec: Geometry, dtype: np.dtype) -> Iterator[tuple[int, int, NDArray]]:
    """Number of the shot, number within it, and samples in the file's precision of every trace."""
    for i, record in enumerate(data if isinstance(data, Shots) else rec.split(data)):
        with np.errstate(over="ignore"):
            record = record.astype(dtype, copy=False)
        if not np.isfinite(record).all():
            raise ValueError(f"Shot {i} has samples that are not finite in {dtype}.")
        yield from ((i, j, trace) for j, trace in enumerate(record))


def _check_survey(data: ArrayLike | Shots, src: Geometry, rec: Geometry, format: str) -> int:
    """Whether a file can hold it; the sampling interval in µs."""
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {format!r}.")
    if (src.nsrc, src.ndim) != (rec.nsrc, rec.ndim):
        raise ValueError(f"{src} in {src.ndim}-D and {rec} in {rec.ndim}-D are not of one survey.")
    if set(src.counts) != {1}:
        raise ValueError(f"A SEG-Y trace has one source: write the shots of each by itself. {src} has {src.npoint}.")
    own = data.rec if isinstance(data, Shots) else rec
    shape = np.shape(data) if own is rec else own.shape
    if shape not in (rec.shape, (sum(rec.counts) * rec.nt,)) or own.counts != rec.counts:
        what = f"Data of shape {shape}" if own is rec else f"{data} with {data.rec.npoint} receivers"
        raise ValueError(f"{what} do not fit {rec} with {rec.npoint} receivers, which has shape {rec.shape}.")
    if own is rec and np.asarray(data).dtype.kind not in "fiu":
        raise ValueError(f"SEG-Y keeps real numbers, not {np.asarray(data).dtype}.")
    interval = round(1000 * rec.dt)
    if abs(1000 * rec.dt - interval) > 1e-6 or not 0 < interval < 2**15:
        raise ValueError(f"SEG-Y keeps the sampling interval in whole µs, 1 to 32767; {rec.dt:g} ms is none. Resample.")
    if rec.nt >= 2**16:
        raise ValueError(f"SEG-Y keeps up to 65535 samples a trace, got {rec.nt}.")
    return interval


def _delay(t0: float) -> tuple[int, int]:
    """The time of the first sample as a whole number of two bytes, with its scalar."""
    for scalar in SCALARS:
        n = round(t0 * abs(scalar))
        if abs(n) < 2**15 and abs(n / abs(scalar) - t0) < 1e-6:
            return n, scalar
    raise ValueError(
        f"SEG-Y keeps the time of the first sample in two bytes, in whole ms, tenths, hundredths, thousandths: "
        f"t0 = {t0:g} ms is none. so.resample(d, rec, rec.dt, t0={round(t0)}) takes the records to one."
    )


def _choose_scalar(values: NDArray, scalar: int | None) -> int:
    if scalar not in (None, *SCALARS):
        raise ValueError(f"scalar is one of {SCALARS}, not {scalar}.")
    largest = float(np.abs(values).max())
    fitting = [s for s in (SCALARS if scalar is None else (scalar,)) if largest * abs(s) <= LARGEST]
    if not fitting:
        raise ValueError(
            f"The position {largest:g} m does not fit into four bytes with the scalar {scalar or 1}, which reaches to "
            f"{LARGEST / abs(scalar or 1):g} m. Take a coarser scalar, or an origin nearer to the survey."
        )
    exact = (s for s in fitting if np.abs(scaled(_whole(values, s), s) - values).max() < ROUNDING)
    return next(exact, fitting[-1])


def _whole(values: NDArray, scalar: int) -> NDArray:
    return np.rint(values * abs(scalar)).astype(np.int64)


def _text(rec: Geometry) -> dict[int, str]:
    return {
        1: "SHOT RECORDS WRITTEN BY SEISOPS",
        2: f"{rec.nsrc} SHOTS, {sum(rec.counts)} TRACES, {rec.nt} SAMPLES OF {rec.dt:g} MS",
        3: "POSITIONS IN M. SOURCE: X IN BYTE 73, Y 77, DEPTH 49, POSITIVE DOWN.",
        4: "RECEIVER: X IN BYTE 81, Y 85, ELEVATION 41, POSITIVE UP.",
        39: "SEG Y REV1",
        40: "END TEXTUAL HEADER",
    }
