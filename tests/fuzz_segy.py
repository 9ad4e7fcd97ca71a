"""Read mutated SEG-Y files: ``python tests/fuzz_segy.py FOLDER FIRST COUNT``, in a process of its own that may die.

Every file is either read, then with the very samples it holds, or refused with an error that names it.
"""

import resource
import struct
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import seisops as so

NT, EXTREMES = 20, (0, 1, -1, 2, 255, 256, -2, 32767, -32768, 24)
# First byte of the words of the binary header that matter, and of the trace header.
BINARY = (3213, 3217, 3221, 3225, 3255, 3269, 3271, 3501, 3503, 3505, 3507, 3509)
TRACE = (9, 29, 41, 45, 49, 69, 71, 73, 77, 81, 85, 89, 109, 115, 117, 215)


def originals(folder: Path) -> list[bytes]:
    """Files of three shots: floats of two kinds, doubles, and the first of them in the other byte order."""
    rng = np.random.default_rng(0)
    x = np.array([100.0, 200.5, 300.25])
    src = so.Geometry(np.stack([x, 0 * x + 6], 1)[:, None], dt=4.0, nt=NT)
    rec = so.Geometry([np.stack([x[:n], 0 * x[:n] + 12], 1) for n in (3, 2, 3)], dt=4.0, nt=NT)
    files = []
    for name in ("ieee", "ibm", "double"):
        so.segy.write(folder / name, rng.standard_normal(rec.shape).astype(np.float32), src, rec, format=name)
        files.append((folder / name).read_bytes())
    # Nearly every word of two bytes; a reader of either order meets something.
    return [*files, np.frombuffer(files[0], np.uint16).byteswap().tobytes()]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three accidents."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if len(data) < 4:
            break
        at = int(rng.integers(len(data) - 3))
        trace = 3600 + int(rng.integers(8)) * (240 + 4 * NT)
        kind = rng.integers(9)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data += rng.bytes(int(rng.integers(1, 700)))
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 700))]
        elif kind == 4:
            n = min(int(rng.integers(1, 700)), len(data) - at)
            data[at : at + n] = rng.bytes(n) if rng.integers(2) else bytes(n)
        elif kind in (5, 6) and len(data) > 3600:
            value = int(rng.choice(EXTREMES)) if rng.integers(2) else int(rng.integers(-(2**15), 2**15))
            struct.pack_into(">h", data, int(rng.choice(BINARY)) - 1, value)
        elif kind == 7 and len(data) > trace + 240:
            value = int(rng.choice(EXTREMES)) if rng.integers(2) else int(rng.integers(-(2**15), 2**15))
            struct.pack_into(">h", data, trace + int(rng.choice(TRACE)) - 1, value)
        elif kind == 8:
            data = bytearray(rng.bytes(len(data))) if rng.integers(8) == 0 else data[: 3600 + 3 * (240 + 4 * NT)]
    return bytes(data)


def samples(data: bytes) -> np.ndarray:
    """The samples of every trace of a file of big-endian IEEE floats, found without its headers."""
    traces = np.frombuffer(data[3600:], np.uint8).reshape(-1, 240 + 4 * NT)
    return np.ascontiguousarray(traces[:, 240:]).view(">f4").astype(np.float32)


def outcome(path: Path, endian: str, untouched: bool) -> str:
    """What became of a file."""
    try:
        data, src, rec = so.segy.read(path, endian=endian)
        records = list(data)
    except (ValueError, OSError) as error:
        assert str(path) in str(error), f"{path} is not named: {error!r}"
        return type(error).__name__
    assert src.nsrc == rec.nsrc == len(records)
    assert [r.shape for r in records] == [(n, rec.nt) for n in rec.counts]
    assert all(np.isfinite(r).all() for r in records)
    if untouched and rec.nt == NT:
        assert np.array_equal(np.concatenate(records), samples(path.read_bytes())[np.concatenate(data._traces)])
    return "read"


def main() -> None:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    files, outcomes = originals(folder), Counter()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        kind, path = seed % len(files), folder / f"{seed}.segy"
        data = mutate(files[kind], rng)
        path.write_bytes(data)
        # What tells how to read the samples is as it was.
        untouched = kind == 0 and all(data[a:b] == files[0][a:b] for a, b in ((3220, 3226), (3268, 3272), (3500, 3510)))
        outcomes[outcome(path, "little" if seed % 16 == 3 else "big", untouched)] += 1
        path.unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 200 * 1024, "it took more than 200 MB"
    print(dict(outcomes))


if __name__ == "__main__":
    main()
