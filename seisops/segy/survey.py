"""What trace headers say of a survey, and what is done where they do not agree.

Each function here is called by :func:`seisops.segy.read` alone, and warns in the name of its caller.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seisops.segy.file import SegyFile, scaled

# The words of a trace header that the elevation scalar scales.
DEPTHS = ("ReceiverGroupElevation", "SourceSurfaceElevation", "SourceDepth", "ReceiverDatumElevation",
          "SourceDatumElevation", "SourceWaterDepth", "GroupWaterDepth")  # fmt: skip
WORDS = ("SourceX", "SourceY", "GroupX", "GroupY", "SourceGroupScalar", "ElevationScalar", "CoordinateUnits",
         "TRACE_SAMPLE_COUNT", "TRACE_SAMPLE_INTERVAL", "DelayRecordingTime", "ScalarTraceHeader",
         "TraceIdentificationCode")  # fmt: skip
# Trace identification codes of what no receiver recorded: dead, dummy, time break, uphole, sweep, timing, water
# break, signatures, and the vibrator's own.
AUXILIARY = (*range(2, 11), *range(18, 23))
# Samples that may lie between the shot and the first one.
LATEST = 2**16


def terms(name: str, z: str | float) -> list[tuple[int, str]] | float:
    """Signs and words of a sum of header words, or the one depth."""
    if not isinstance(z, str):
        return float(z)
    if not re.fullmatch(r"\s*[+-]?\s*\w+(\s*[+-]\s*\w+)*\s*", z):
        raise ValueError(f"{name} is a sum of header words such as 'SourceDepth - SourceSurfaceElevation', not {z!r}.")
    found = [(-1 if sign == "-" else 1, word) for sign, word in re.findall(r"([+-]?)\s*(\w+)", z)]
    for _, word in found:
        if word not in DEPTHS:
            raise ValueError(f"{name} is made of {', '.join(DEPTHS)}; it has {word!r}.")
    return found


def scan(file: SegyFile, shot: str, depths: Sequence, table: NDArray, live: NDArray) -> tuple[Counter, Counter]:
    """Fill the rows of a file's traces; return how many have which sampling interval (µs) and which delay (ms)."""
    words = dict.fromkeys([shot, *WORDS, *(word for z in depths if isinstance(z, list) for _, word in z)])
    intervals, delays = Counter(), Counter()
    for first, h in file.headers(list(words)):
        block = slice(first, first + len(h))
        live[block] = ~np.isin(h["TraceIdentificationCode"], AUXILIARY)
        kept = h[live[block]]
        _check_headers(file, first, h, live[block])
        intervals.update(kept["TRACE_SAMPLE_INTERVAL"].tolist())
        delays.update(scaled(kept["DelayRecordingTime"], kept["ScalarTraceHeader"]).tolist())
        rows = table[block]
        rows[:, 0] = h[shot]
        for column, word in ((1, "SourceX"), (2, "SourceY"), (4, "GroupX"), (5, "GroupY")):
            rows[:, column] = file.unit * scaled(h[word], h["SourceGroupScalar"])
        for column, z in zip((3, 6), depths, strict=True):
            if isinstance(z, list):
                # Summed as whole numbers, so that they are rounded once.
                total = sum(sign * h[word].astype(np.int64) for sign, word in z)
                rows[:, column] = file.unit * scaled(total, h["ElevationScalar"])
            else:
                rows[:, column] = z
    if not delays:
        raise ValueError(f"{file.path} holds dead and auxiliary traces only.")
    return intervals, delays


def _check_headers(file: SegyFile, first: int, h: NDArray, live: NDArray) -> None:
    # Two bytes without a sign; longer traces have no place for their length here.
    lengths = h["TRACE_SAMPLE_COUNT"].astype(np.int64) & 0xFFFF
    wrong = np.flatnonzero(live & (lengths != 0) & (lengths != file.nt)) if file.nt <= 0xFFFF else ()
    if len(wrong):
        raise ValueError(
            f"{file.path} contradicts itself: trace {first + wrong[0]} has {lengths[wrong[0]]} samples by its own "
            f"header, and {file.nt} by the binary header."
        )
    units = h["CoordinateUnits"][live & (h["CoordinateUnits"] > 1)]
    if len(units):
        raise ValueError(f"{file.path} has positions that are angles (CoordinateUnits {units[0]}): project them to m.")


def interval(file: SegyFile, votes: Counter) -> float:
    """The sampling interval, ms."""
    best = file.agreed_interval(votes)
    told = (
        f"{file.path}: the sampling interval is {file.interval} µs in the binary header and "
        f"{', '.join(map(str, sorted(votes)[:5]))} µs in the trace headers"
    )
    if not best:
        raise ValueError(f"{told}. Give dt= in ms.")
    if file.interval != best or set(votes) != {best}:
        _warn(f"{told}; took {best / 1000:g} ms. Give dt= in ms if that is wrong.")
    return best / 1000


def first_time(file: SegyFile, delays: Iterable[float], dt: float) -> float:
    """The time of the first sample after the shot, ms."""
    if len(set(delays)) > 1:
        raise ValueError(
            f"{file.path} has traces that start at different times, {sorted(delays)[:5]} ms after the shot. "
            "Give delay= in ms if that is wrong."
        )
    (delay,) = delays
    if not -(file.nt - 1) * dt < delay < LATEST * dt:
        raise ValueError(
            f"{file.path} starts {delay:g} ms after the shot, and its {file.nt} samples of {dt:g} ms "
            f"{'end before it' if delay < 0 else 'come later than any wave'}. Give delay= in ms if that is wrong."
        )
    return delay


def check_alike(first: SegyFile, axis: tuple, file: SegyFile, other: tuple) -> None:
    """Files of one survey share the time axis (nt, dt, t0)."""
    if axis != other:
        words = "{} has {} samples of {:g} ms, the first of them at {:g} ms".format
        raise ValueError(f"{words(first.path, *axis)}; {words(file.path, *other)}. Read them one by one.")


def left(files: Sequence[SegyFile], live: NDArray) -> NDArray:
    """Numbers of the traces that receivers recorded."""
    numbers = np.flatnonzero(live)
    if len(numbers) < len(live):
        _warn(f"{_names(files)}: left out {len(live) - len(numbers)} of {len(live)} traces, dead or auxiliary.")
    return numbers


def gather(keys: NDArray) -> tuple[NDArray, NDArray]:
    """The order of the traces by shot, and the number of traces of every shot."""
    new = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))
    # Runs of equal keys, which are few; then equal runs.
    runs = np.flatnonzero(new)
    _, first, label = np.unique(keys[runs], axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    shots = np.repeat(rank[label.ravel()], np.diff(np.append(runs, len(keys))))
    return np.argsort(shots, kind="stable"), np.bincount(shots)


def look_for_the_end(files: Sequence[SegyFile], live: NDArray, counts: NDArray) -> None:
    """A file cut off between two traces shows in nothing but a last shot that is too short."""
    expected = max(file.per_shot for file in files)
    if live.all() and counts[-1] < expected and (counts[:-1] == expected).all():
        _warn(
            f"{_names(files)}: the last shot has {counts[-1]} traces, and the binary header says {expected} a shot. "
            "The file may be truncated."
        )


def columns(files: Sequence[SegyFile], table: NDArray, ndim: int | None) -> tuple[int, ...]:
    """Which of x, y, z are the axes; where a line in x and y is asked for, x becomes the distance along it."""
    sources, receivers = table[:, 1:3], table[:, 4:6]
    ends = [f([f(sources, axis=0), f(receivers, axis=0)], axis=0) for f in (np.min, np.max)]
    varies = ends[1] > ends[0]
    if ndim == 3 or (ndim is None and varies.all()):
        return (0, 1, 2)
    if not varies.all():
        return (1, 2) if varies[1] else (0, 2)
    centre = (sources.mean(axis=0) + receivers.mean(axis=0)) / 2
    covariance = sum((p - centre).T @ (p - centre) for p in (sources, receivers))
    line = np.linalg.eigh(covariance)[1][:, 1]
    line = line * np.sign(line[np.abs(line).argmax()])
    off = max(np.abs((p - centre) @ (line[1], -line[0])).max() for p in (sources, receivers))
    along = [(p - centre) @ line for p in (sources, receivers)]
    start = min(a.min() for a in along)
    table[:, 1], table[:, 4] = (a - start for a in along)
    origin = centre + start * line
    _warn(
        f"{_names(files)}: x is the distance from ({origin[0]:.10g}, {origin[1]:.10g}) m in the direction "
        f"({line[0]:.4f}, {line[1]:.4f}), the line that fits the survey best; points lie up to {off:.3g} m off it."
    )
    return (0, 2)


def _names(files: Sequence[SegyFile]) -> str:
    return str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more"


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
