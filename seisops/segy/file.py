"""A SEG-Y file whose headers add up: what is checked before anything in it is believed."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

TEXT_BYTES, BINARY_BYTES, HEADER_BYTES = 3200, 400, 240
# What a sample is decoded to, by SEG-Y's format code: those that segyio reads. Code 1 is IBM's float.
SAMPLES = {1: "f4", 2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 9: "i8", 10: "u4", 11: "u2", 12: "u8", 16: "u1"}
BYTE_ORDER = {"big": ">", "little": "<"}
# Headers held at once.
BLOCK = 8192
FOOT = 0.3048


@dataclass(frozen=True)
class SegyFile:
    """Where everything is in a SEG-Y file of traces of one length.

    Attributes
    ----------
    path : Path
    endian : {"big", "little"}
    format : int
        SEG-Y's code of the samples.
    start : int
        Byte at which the first trace begins.
    nt, ntrace : int
        Samples of a trace, and traces.
    interval : int, µs
        As the binary header has it, 0 or less where it is missing.
    per_shot : int
        Traces of an ensemble as the binary header has it; 0 where it is missing.
    feet : bool
        Whether positions are in feet.
    modified : int, ns
        When it was last written.
    """

    path: Path
    endian: str
    format: int
    start: int
    nt: int
    ntrace: int
    interval: int
    per_shot: int
    feet: bool
    modified: int

    @property
    def dtype(self) -> np.dtype:
        """Of the decoded samples."""
        return np.dtype(SAMPLES[self.format])

    @property
    def trace_bytes(self) -> int:
        """Bytes of a trace with its header."""
        return HEADER_BYTES + self.nt * self.dtype.itemsize

    @property
    def unit(self) -> float:
        """What positions are given in, m."""
        return FOOT if self.feet else 1.0

    def agreed_interval(self, votes: Counter) -> int:
        """The sampling interval of most traces, or else of the binary header, µs; 0 if none is positive.

        `votes` says how many traces have which.
        """
        usable = {value: count for value, count in votes.items() if value > 0}
        return max(usable, key=lambda value: (usable[value], value == self.interval), default=max(self.interval, 0))

    def headers(self, words: Sequence[str]) -> Iterator[tuple[int, NDArray]]:
        """The number of a first trace and the `words` of the traces from there on, block by block; no sample is read.

        Raises
        ------
        ValueError
            For a word that trace headers do not have.
        OSError
            If the file has become shorter since it was opened.
        """
        layout = trace_words()
        for word in words:
            if word not in layout:
                raise ValueError(
                    f"Trace headers have no word {word!r}; shots have FieldRecord, EnergySourcePoint, ShotPoint."
                )
        kinds = [f"{BYTE_ORDER[self.endian]}i{layout[word][1]}" for word in words]
        dtype = np.dtype({"names": list(words), "formats": kinds, "offsets": [layout[word][0] - 1 for word in words],
                          "itemsize": HEADER_BYTES})  # fmt: skip
        with open(self.path, "rb", buffering=0) as stream:

            def header(i: int) -> bytes:
                stream.seek(self.start + i * self.trace_bytes)
                return stream.read(HEADER_BYTES)

            for first in range(0, self.ntrace, BLOCK):
                count = min(BLOCK, self.ntrace - first)
                block = b"".join(header(i) for i in range(first, first + count))
                if len(block) != count * HEADER_BYTES:
                    raise OSError(f"{self.path} has become shorter while it was read.")
                yield first, np.frombuffer(block, dtype)

    def traces(self, numbers: ArrayLike) -> NDArray:
        """The samples of some traces, (trace, nt), as segyio decodes them.

        Raises
        ------
        OSError
            If the file has been written since its headers were read, or cannot be read.
        """
        numbers = np.asarray(numbers)
        runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
        try:
            if self.path.stat().st_mtime_ns != self.modified:
                raise OSError("it has been written since its headers were read")
            with segyio().open(self.path, ignore_geometry=True, endian=self.endian) as file:
                found = (file.tracecount, len(file.samples), int(file.format))
                if found != (self.ntrace, self.nt, self.format):
                    raise OSError(f"segyio finds {found[0]} traces of {found[1]} samples of format {found[2]}")
                return np.concatenate([file.trace.raw[int(run[0]) : int(run[-1]) + 1] for run in runs])
        except (OSError, RuntimeError, ValueError) as error:
            raise OSError(f"{self.path} cannot be read: {error}.") from error


def inspect(path: str | Path, endian: str = "big") -> SegyFile:
    """Open a SEG-Y file as far as its headers say that it is one, and that its length is what they say.

    segyio takes the headers' word for it, and a wrong word may then cost any amount of memory or give traces from
    the wrong bytes. So the arithmetic is done here, before.

    Raises
    ------
    ValueError
        If the file is no SEG-Y, of another byte order, empty, truncated, or of traces that differ in length.
    OSError
        If it cannot be read.
    """
    if endian not in BYTE_ORDER:
        raise ValueError(f"endian is 'big' or 'little', not {endian!r}.")
    path = Path(path)
    with open(path, "rb") as stream:
        head = stream.read(TEXT_BYTES + BINARY_BYTES)
        status = os.fstat(stream.fileno())
        size = status.st_size
    if len(head) < TEXT_BYTES + BINARY_BYTES:
        raise ValueError(f"{path} is no SEG-Y file: it has {size} bytes, and headers take {TEXT_BYTES + BINARY_BYTES}.")

    def word(byte: int, kind: str = "h", order: str = endian) -> int:
        return struct.unpack_from(BYTE_ORDER[order] + kind, head, byte - 1)[0]

    code, other = word(3225), "little" if endian == "big" else "big"
    if code not in SAMPLES:
        if word(3225, order=other) in SAMPLES:
            raise ValueError(
                f"{path} has the other byte order (sample format {code}), which segy.read(..., endian={other!r}) reads."
            )
        raise ValueError(f"{path} has the sample format {code}; those that can be read are {sorted(SAMPLES)}.")
    revision, extended, additional = head[3500], word(3505), word(3507, "i")
    if extended < 0:
        raise ValueError(f"{path} does not say how many extended text headers it has ({extended} in bytes 3505-3506).")
    if revision >= 2 and additional:
        raise ValueError(f"{path} has additional trace headers ({additional}), which cannot be read.")
    nt, more = word(3221, "H"), word(3269, "i")
    nt = more if more > 0 and (revision >= 2 or nt == 0) else nt
    if nt < 2:
        raise ValueError(f"{path} has traces of {nt} samples, as its binary header says.")
    start = TEXT_BYTES * (1 + extended) + BINARY_BYTES
    each = HEADER_BYTES + nt * np.dtype(SAMPLES[code]).itemsize
    ntrace, rest = divmod(size - start, each)
    if size <= start:
        raise ValueError(f"{path} holds no trace: it ends at byte {size}, and its headers at {start}.")
    if rest:
        raise ValueError(
            f"{path} is truncated, or its headers are wrong: {nt} samples of format {code} make {each} bytes a trace, "
            f"and it has {ntrace} traces and {rest} bytes more."
        )
    per_shot, feet = max(word(3213), 0), word(3255) == 2
    return SegyFile(path, endian, code, start, nt, ntrace, word(3217), per_shot, feet, status.st_mtime_ns)


def scaled(values: ArrayLike, scalars: ArrayLike) -> NDArray:
    """Header words with their scalar: a positive one multiplies, a negative one divides, 0 is 1.

    Examples
    --------
    >>> scaled([12345, 7, 7], [-100, 10, 0]).tolist()
    [123.45, 70.0, 7.0]
    """
    values, scalars = np.asarray(values, np.float64), np.asarray(scalars, np.float64)
    # A division where it divides: a hundredth is no binary number, and 12345 / 100 is the one nearest to 123.45.
    return values / np.where(scalars < 0, -scalars, 1) * np.where(scalars > 0, scalars, 1)


def trace_words() -> dict[str, tuple[int, int]]:
    """First byte, from 1, and number of bytes of every word of a trace header, by segyio's names."""
    fields = sorted(segyio().TraceField.enums(), key=int)
    ends = [*(int(field) for field in fields[1:]), HEADER_BYTES + 1]
    return {str(field): (int(field), end - int(field)) for field, end in zip(fields, ends, strict=True)}


def segyio():
    """The package that decodes and writes SEG-Y."""
    try:
        import segyio as package
    except ImportError as error:
        raise ImportError("SEG-Y files need segyio: pip install 'seisops[io]'.") from error
    return package
