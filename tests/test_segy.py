"""SEG-Y: what is written comes back, headers are believed where they agree, nothing is read before it is asked for."""

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from zoo import random, world

import seisops as so
from seisops.segy.file import SegyFile, inspect

NT, DT = 30, 4.0
# First byte of header words, and how they are packed.
BINARY = {"ntrpr": 3213, "interval": 3217, "nt": 3221, "format": 3225, "system": 3255, "longnt": (3269, ">i"),
          "revision": (3501, ">B"), "extended": 3505, "additional": (3507, ">i")}  # fmt: skip
TRACE = {"FieldRecord": (9, ">i"), "code": 29, "gelev": (41, ">i"), "selev": (45, ">i"), "sdepth": (49, ">i"),
         "swdep": (61, ">i"), "scalel": 69, "scalco": 71, "sx": (73, ">i"), "sy": (77, ">i"), "gx": (81, ">i"),
         "gy": (85, ">i"), "unit": 89, "delay": 109, "nt": 115, "interval": 117, "scaltime": 215}  # fmt: skip


def survey(counts=(3, 3), ndim=2, start=0.0):
    """Shots of some receivers on a line."""
    x = start + 100 + 10.5 * np.arange(len(counts))
    positions = [[[s, *[7.25] * (ndim - 2), 6.5]] for s in x]
    spread = [
        [[s + 25 * (j + 1), *[50.0 * j] * (ndim - 2), 12.5] for j in range(n)] for s, n in zip(x, counts, strict=True)
    ]
    return so.Geometry(positions, dt=DT, nt=NT), so.Geometry(spread, dt=DT, nt=NT)


def written(path, counts=(3, 3), ndim=2, **options):
    src, rec = survey(counts, ndim)
    d = random(rec.shape, dtype="float32")
    so.segy.write(path, d, src, rec, **options)
    return d, src, rec


def patch(path, where=None, nt=NT, **words):
    """Change words of the binary header, or of all traces, or of the trace `where`."""
    data = bytearray(path.read_bytes())
    size = 240 + 4 * nt
    for name, value in words.items():
        if where is None and name in BINARY:
            starts, place = [0], BINARY[name]
        else:
            traces = range((len(data) - 3600) // size) if where in (None, "all") else [where]
            starts, place = [3600 + k * size for k in traces], TRACE[name]
        byte, kind = place if isinstance(place, tuple) else (place, ">h")
        for start in starts:
            struct.pack_into(kind, data, start + byte - 1, value)
    path.write_bytes(data)


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a.positions, b.positions, strict=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "line.segy"


# ---------------------------------------------------------------------- there and back


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("counts", [(3,), (3, 3), (3, 1, 4)], ids=str)
def test_round_trip(path, counts, ndim):
    d, src, rec = written(path, counts, ndim)
    data, src2, rec2 = so.segy.read(path)
    assert same(src, src2)
    assert same(rec, rec2)
    assert (src2.dt, src2.nt, rec2.dt, rec2.nt) == (DT, NT) * 2
    assert data.shape == rec.shape
    assert np.asarray(data).dtype == np.float32
    assert np.array_equal(np.asarray(data), d)


def test_samples_come_back_bit_for_bit(path):
    src, rec = survey((2,))
    bits = np.random.default_rng(0).integers(0, 2**32, rec.shape, dtype=np.uint32)
    bits.ravel()[:6] = [0x80000000, 1, 0x007FFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x00800000]
    d = bits.view(np.float32)
    d[~np.isfinite(d)] = 0
    so.segy.write(path, d, src, rec)
    assert np.array_equal(so.segy.read(path)[0][0].view(np.uint32), d[0].view(np.uint32))
    # Ours again, from the file itself.
    again = path.with_name("again.segy")
    so.segy.write(again, *so.segy.read(path))
    assert again.read_bytes() == path.read_bytes()


def test_samples_in_other_formats(path):
    src, rec = survey()
    d = random(rec.shape)
    so.segy.write(path, d, src, rec, format="double")
    data = so.segy.read(path)[0]
    assert data.dtype == np.float64
    assert np.array_equal(np.asarray(data), d)
    so.segy.write(path, d, src, rec, format="ibm")
    # A mantissa of six hexadecimal digits, the first of which may have one bit only, cut off.
    assert np.all(np.abs(np.asarray(so.segy.read(path)[0]) - d) <= 2.0**-20 * np.abs(d))


@pytest.mark.parametrize(("code", "kind", "expected"), [(3, ">i2", "float32"), (8, ">i1", "float32"),
                                                        (2, ">i4", "float64")])  # fmt: skip
def test_samples_that_are_whole_numbers(path, code, kind, expected):
    written(path)
    values = np.random.default_rng(0).integers(-100, 100, (6, NT))
    size, head = 240 + 4 * NT, path.read_bytes()
    traces = [head[3600 + k * size :][:240] + values[k].astype(kind).tobytes() for k in range(6)]
    path.write_bytes(head[:3600] + b"".join(traces))
    patch(path, format=code, nt=NT)
    data = so.segy.read(path)[0]
    assert data.dtype == expected
    assert np.array_equal(np.asarray(data).reshape(6, NT), values)


@pytest.mark.parametrize(("unit", "scalar"), [(1.0, 1), (0.1, -10), (0.01, -100), (0.001, -1000)])
def test_positions_take_the_coarsest_scalar_that_is_exact(path, unit, scalar):
    x = unit * np.array([123457, 7])
    src, rec = (so.Geometry([[[x[k], 3.0]]], dt=DT, nt=NT) for k in (0, 1))
    so.segy.write(path, np.zeros(rec.shape), src, rec)
    head = path.read_bytes()[3600:]
    assert struct.unpack_from(">h", head, 70) == (scalar,)
    assert struct.unpack_from(">h", head, 68) == (1,)
    assert same(so.segy.read(path)[1], so.Geometry([[[123457 / abs(scalar), 3.0]]], dt=DT, nt=NT))


@pytest.mark.parametrize("scalar", [None, -10, -100, -1000, -10000])
@pytest.mark.parametrize("scale", [1e3, 2e4])
def test_positions_come_back_to_half_a_scalar(path, scalar, scale):
    src, rec = (so.Geometry(scale * random((2, n, 3), n), dt=DT, nt=NT) for n in (1, 4))
    so.segy.write(path, np.zeros(rec.shape), src, rec, scalar=scalar)
    bound = 0.5 / abs(scalar or -10000) * (1 + 1e-9) + np.spacing(4 * scale)
    for a, b in zip((src, rec), so.segy.read(path)[1:], strict=True):
        assert np.abs(np.array(a.positions) - np.array(b.positions)).max() <= bound


def test_far_positions_take_the_finest_scalar_that_fits(path):
    # A northing, to a third of a m.
    src, rec = (so.Geometry([[[431234 + z / 3, 6712345 + z / 3, z]]], dt=DT, nt=NT) for z in (1.0, 2.0))
    so.segy.write(path, np.zeros(rec.shape), src, rec)
    found = so.segy.read(path)[1].positions[0][0]
    assert np.abs(found - src.positions[0][0]).max() <= 0.005


# ---------------------------------------------------------------------- lazy


def test_nothing_but_headers_is_read_until_asked(path, monkeypatch):
    d, _, _ = written(path, (2, 2, 2))
    with monkeypatch.context() as patched:
        patched.setattr(SegyFile, "traces", lambda *_: pytest.fail("samples were read"))
        data, _, _ = so.segy.read(path)
        some, few = data[1:], data[[2, 0]]
        assert (len(data), data.size, some.shape, len(few)) == (3, 6 * NT, (2, 2, NT), 2)
        assert repr(data) == "Shots(3 shots x 2 points, 30 samples of 4 ms, float32, 1 file)"
    assert np.array_equal(some, d[1:])
    assert np.array_equal(few, d[[2, 0]])
    for i in (0, 2, -1, np.int64(1)):
        assert np.array_equal(data[i], d[i])
    assert isinstance(data[0], np.ndarray)
    assert np.array_equal(list(data), d)
    assert np.array_equal(few[1:][0], d[0])


def test_reading_headers_takes_memory_for_headers(path):
    src, rec = (so.Geometry(np.zeros((20, n, 2)) + np.arange(20)[:, None, None], dt=DT, nt=2000) for n in (1, 100))
    so.segy.write(path, np.zeros(rec.shape, "float32"), src, rec)
    tracemalloc.start()
    so.segy.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 16e6
    # A block of headers, and some 200 bytes a trace.
    assert peak < 2000 * (2 * 240 + 400)


def test_as_an_array(path):
    d, _, rec = written(path, (3, 1, 4))
    data = so.segy.read(path)[0]
    assert np.array_equal(np.asarray(data), d)
    assert np.asarray(data, np.float64).dtype == np.float64
    assert [r.shape for r in data] == [r.shape for r in rec.split(d)]
    assert np.array_equal(d - data, np.zeros_like(d))
    with pytest.raises(ValueError, match="by a copy only"):
        np.array(data, copy=False)
    with pytest.raises(IndexError, match="Shots 3 do not exist among 3"):
        data[3]


def test_from_threads_and_other_processes(path):
    d, _, _ = written(path, (2,) * 8)
    data = pickle.loads(pickle.dumps(so.segy.read(path)[0]))
    with ThreadPoolExecutor(4) as pool:
        assert np.array_equal(list(pool.map(data.__getitem__, range(8))), d)


def test_shots_are_data_of_the_operators(path):
    w = world("2d-float32")
    d = w.F @ w.q.astype("float32")
    so.segy.write(path, d, w.src[:], w.rec)
    data, src, rec = so.segy.read(path)
    F = so.Projection(w.model, rec) @ so.Modeling(w.model, rec) @ so.Projection(w.model, src).H
    J = so.Jacobian(F, random(F.dims, dtype="float32"))
    assert F.dimsd == data.shape
    image = J.H @ d
    stacked = sum(J[i].H @ data[i] for i in range(len(data)))
    assert np.abs(stacked - image).max() <= 1e-5 * np.abs(image).max()
    assert np.array_equal(F.H @ data, F.H @ d)


@pytest.mark.parametrize("receivers", ["rec", "ragged"])
def test_fwi_reads_a_shot_at_a_time(path, receivers, monkeypatch):
    w = world("2d-float32")
    rec = getattr(w, receivers)
    F, q = w.samplers(rec), w.q.astype("float32")
    so.segy.write(path, F @ q, w.src, rec)
    data = so.segy.read(path)[0]
    d = np.asarray(data)
    read = []
    record = so.segy.Shots._record

    def counting(self, i):
        read.append(len(self))
        return record(self, i)

    monkeypatch.setattr(so.segy.Shots, "_record", counting)
    q, P = 1.1 * q, so.preconditioners.time_derivative(rec, 0.5)
    for options in ({}, {"data_precon": P}, {"shots": [1]}):
        read.clear()
        value, gradient = so.fwi(F, q, data, **options)
        # Each from what tells of no other shot, which is what another process gets.
        assert read == [1] * len(options.get("shots", range(len(data))))
        expected = so.fwi(F, q, d, **options)
        assert value == expected[0] and np.array_equal(gradient, expected[1])


# ---------------------------------------------------------------------- shots


def test_several_files(tmp_path):
    parts = []
    for k, counts in enumerate([(3, 3), (3,), (3, 3)]):
        src, rec = survey(counts, start=1000.0 * k)
        parts.append(random(rec.shape, k, "float32"))
        so.segy.write(tmp_path / f"part{k}.segy", parts[-1], src, rec)
    expected = np.concatenate(parts)
    names = sorted(tmp_path.glob("*.segy"))
    for paths in (str(tmp_path / "part*.segy"), names, tuple(map(str, names))):
        data, src, rec = so.segy.read(paths)
        assert np.array_equal(np.asarray(data), expected)
        assert len(data) == len(src) == len(rec) == 5
    assert repr(data).endswith("3 files)")
    assert np.array_equal(so.segy.read(names[::-1])[0][0], parts[2][0])
    assert np.array_equal(data[[4, 0]], expected[[4, 0]])


def test_a_shot_in_two_files(tmp_path):
    src, rec = survey((4, 4))
    d = random(rec.shape, dtype="float32")
    for k in (0, 1):
        half = so.Geometry([p[2 * k : 2 * k + 2] for p in rec.positions], dt=DT, nt=NT)
        so.segy.write(tmp_path / f"cable{k}.segy", d[:, 2 * k : 2 * k + 2], src, half)
    data, src2, rec2 = so.segy.read(tmp_path / "cable*.segy")
    assert same(src, src2)
    assert same(rec, rec2)
    assert np.array_equal(np.asarray(data), d)


def test_traces_in_any_order(path):
    d, src, rec = written(path, (3, 2, 3))
    size, data = 240 + 4 * NT, path.read_bytes()
    # Sorted by receiver: the shots interleave, the second comes first.
    order = [3, 0, 5, 4, 1, 6, 2, 7]
    path.write_bytes(data[:3600] + b"".join(data[3600 + k * size :][:size] for k in order))
    lazy, src2, rec2 = so.segy.read(path)
    turn = [1, 0, 2]
    assert same(src2, src[turn])
    assert same(rec2, rec[turn])
    for a, i in zip(lazy, turn, strict=True):
        assert np.array_equal(a, rec.split(d)[i])


def test_what_tells_shots_apart(path):
    written(path, (2, 2))
    # Records without numbers are told by where the source was, and repeated shots by their numbers.
    patch(path, where="all", FieldRecord=0)
    assert len(so.segy.read(path)[0]) == 2
    patch(path, where="all", sx=100)
    assert len(so.segy.read(path)[0]) == 1
    assert len(so.segy.read(path, shot="EnergySourcePoint")[0]) == 2
    with pytest.raises(ValueError, match="no word 'Sailline'; shots have FieldRecord, EnergySourcePoint"):
        so.segy.read(path, shot="Sailline")


def test_traces_that_no_receiver_recorded(path):
    d, _, _ = written(path)
    patch(path, where=1, code=2, nt=NT)
    patch(path, where=3, code=6, interval=0, delay=77)
    with pytest.warns(UserWarning, match=r"line\.segy: left out 2 of 6 traces, dead or auxiliary"):
        data, _, rec = so.segy.read(path)
    assert rec.counts == (2, 2)
    assert np.array_equal(np.asarray(data), np.stack([d[0, [0, 2]], d[1, 1:]]))
    patch(path, where="all", code=4)
    with pytest.raises(ValueError, match=r"line\.segy holds dead and auxiliary traces only"):
        so.segy.read(path)


# ---------------------------------------------------------------------- positions


def test_scalars(path):
    written(path, (1,))
    patch(path, sx=7, gx=1234, scalco=-100, sdepth=-50, gelev=-50, scalel=10)
    _, src, rec = so.segy.read(path)
    assert src.positions[0].tolist() == [[0.07, -500.0]]
    assert rec.positions[0].tolist() == [[12.34, 500.0]]
    patch(path, scalco=0, scalel=0)
    assert so.segy.read(path)[2].positions[0].tolist() == [[1234.0, 50.0]]


@pytest.mark.parametrize(
    ("z", "source", "receiver"),
    [
        ({}, 6 - 200, -185),
        ({"source_z": "SourceDepth"}, 6, -185),
        ({"source_z": "+ SourceWaterDepth-SourceDepth", "receiver_z": "ReceiverGroupElevation"}, 94, 185),
        ({"source_z": "-SourceSurfaceElevation+SourceDepth", "receiver_z": 12.5}, -194, 12.5),
    ],
    ids=str,
)
def test_depths(path, z, source, receiver):
    written(path, (1,))
    patch(path, sdepth=60, selev=2000, swdep=1000, gelev=1850, scalel=-10)
    _, src, rec = so.segy.read(path, **z)
    assert (src.positions[0][0, -1], rec.positions[0][0, -1]) == (source, receiver)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ("SourceX", "source_z is made of ReceiverGroupElevation, .*; it has 'SourceX'"),
        ("2 * SourceDepth", "source_z is a sum of header words such as .*, not '2 "),
        ("", "source_z is a sum of header words"),
    ],
)
def test_depths_that_are_none(path, z, message):
    written(path)
    with pytest.raises(ValueError, match=message):
        so.segy.read(path, source_z=z)


def test_axes(path):
    written(path, (3, 3), ndim=3)
    _, src, rec = so.segy.read(path)
    assert src.ndim == rec.ndim == 3
    with pytest.warns(UserWarning, match=r"x is the distance from .* in the direction .* up to .* m off it"):
        src, rec = so.segy.read(path, ndim=2)[1:]
    assert src.ndim == rec.ndim == 2
    patch(path, sy=5, gy=5)
    assert same(so.segy.read(path)[1], so.Geometry([[[100, 6.5]], [[110.5, 6.5]]], dt=DT, nt=NT))
    assert so.segy.read(path, ndim=3)[1].positions[0].tolist() == [[100, 0.05, 6.5]]
    # Northwards.
    patch(path, sx=5, gx=5)
    patch(path, where=0, gy=77)
    assert so.segy.read(path)[2].positions[0][:, 0].tolist() == [0.77, 0.05, 0.05]
    with pytest.raises(ValueError, match="ndim cannot be 1"):
        so.segy.read(path, ndim=1)


@pytest.mark.parametrize("towards", [(0.6, -0.8), (-0.6, 0.8), (0.8, -0.6), (-0.8, 0.6), (0.6, 0.8), (-0.8, -0.6)])
def test_a_straight_line_keeps_its_distances(path, towards):
    along = np.array([0.0, 300.0, 1000.0])
    xy = np.array([5e5, 6e6]) + along[:, None] * np.array(towards)
    points = np.column_stack([xy, np.full(3, 8.0)])
    src, rec = so.Geometry(points[:, None], dt=DT, nt=NT), so.Geometry(points[None].repeat(3, 0), dt=DT, nt=NT)
    so.segy.write(path, np.zeros(rec.shape), src, rec)
    # The direction whose larger part is positive.
    forth = max(towards, key=abs) > 0
    x, y = towards if forth else (-towards[0], -towards[1])
    with pytest.warns(UserWarning, match=rf"direction \({x:.4f}, {y:.4f}\).* up to \S*e-\d+ m off"):
        rec2 = so.segy.read(path, ndim=2)[2]
    expected = along if forth else 1000 - along
    assert np.allclose(rec2.positions[0], np.column_stack([expected, np.full(3, 8.0)]), rtol=0, atol=1e-6)


def test_feet_and_degrees(path):
    _, src, _ = written(path)
    patch(path, system=2)
    assert np.allclose(so.segy.read(path)[1].positions, 0.3048 * np.array(src.positions), rtol=1e-15)
    patch(path, where=4, unit=3)
    with pytest.raises(ValueError, match=r"line\.segy has positions that are angles \(CoordinateUnits 3\)"):
        so.segy.read(path)


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("binary", "traces", "expected", "said"),
    [
        (0, [4000] * 6, 4, "0 µs in the binary header and 4000 µs in the trace headers; took 4 ms"),
        (-1, [4000] * 6, 4, "-1 µs in the binary header"),
        (2000, [4000] * 6, 4, "2000 µs in the binary header and 4000 µs"),
        (2000, [0] * 6, 2, "2000 µs in the binary header and 0 µs in the trace headers; took 2 ms"),
        (2000, [2000] * 5 + [0], 2, "0, 2000 µs in the trace headers; took 2 ms"),
        (2000, [4000] * 3 + [2000] * 3, 2, "2000, 4000 µs in the trace headers; took 2 ms"),
        (0, [4000] * 4 + [-7, 2000], 4, "-7, 2000, 4000 µs"),
    ],
)
def test_sampling_intervals_that_disagree(path, binary, traces, expected, said):
    written(path)
    patch(path, interval=binary)
    for k, value in enumerate(traces):
        patch(path, where=k, interval=value)
    with pytest.warns(UserWarning, match=said) as caught:
        _, src, rec = so.segy.read(path)
    assert src.dt == rec.dt == expected
    assert [w.filename for w in caught] == [__file__]
    # Whoever knows better is believed, without a word.
    assert so.segy.read(path, dt=1.5)[2].dt == 1.5


@pytest.mark.parametrize("value", [0, -4000])
def test_no_usable_sampling_interval(path, value):
    written(path)
    patch(path, interval=value)
    patch(path, where="all", interval=value)
    with pytest.raises(ValueError, match=rf"line\.segy: the sampling interval is {value} µs .* Give dt= in ms"):
        so.segy.read(path)
    assert so.segy.read(path, dt=2)[2].dt == 2
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="dt cannot be"):
            so.segy.read(path, dt=wrong)


def test_recording_that_starts_late_or_early(path):
    d, _, _ = written(path)
    for delay, scalar, t0 in ((8, 1, 8.0), (7, 1, 7.0), (-120, -10, -12.0), (33, -100, 0.33)):
        patch(path, delay=delay, scaltime=scalar)
        data, src, rec = so.segy.read(path)
        assert (rec.t0, rec.nt, rec.dt) == (t0, NT, 4.0)
        # Sources fire at 0, and their axis ends with the records.
        assert (src.t0, src.end) == (min(t0, 0.0), rec.end)
        assert np.array_equal(np.asarray(data), d)
    assert so.segy.read(path, delay=0)[2].t0 == 0
    assert so.segy.read(path, delay=100)[2].t0 == 100


@pytest.mark.parametrize("t0", [500.0, -100.0, 12.5, -0.25, 0.001, 30000.0])
def test_a_start_time_comes_back(path, t0):
    rec = so.Geometry([[[10.0, 5.0], [20.0, 5.0]]], dt=4.0, nt=NT, t0=t0)
    src = so.Geometry([[[10.0, 5.0]]], dt=4.0, nt=NT, t0=t0)
    d = np.random.default_rng(0).standard_normal(rec.shape).astype(np.float32)
    so.segy.write(path, d, src, rec)
    data, fired, back = so.segy.read(path)
    assert back == rec
    assert fired.t0 == min(t0, 0.0)
    assert np.array_equal(np.asarray(data), d)
    # From Shots, too.
    so.segy.write(path, data, fired, back)
    assert so.segy.read(path)[2] == rec


@pytest.mark.parametrize("t0", [1 / 3, 40000.0])
def test_a_start_time_that_does_not_fit_is_refused(path, t0):
    rec = so.Geometry([[[10.0, 5.0]]], dt=4.0, nt=NT, t0=t0)
    with pytest.raises(ValueError, match=rf"two bytes, in whole ms.*t0 = {t0:g} ms is none.*t0={round(t0)}\)"):
        so.segy.write(path, np.ones(rec.shape), rec, rec)


@pytest.mark.parametrize(
    ("delays", "message"),
    [
        ([8, 8, 8, 0, 0, 0], r"traces that start at different times, \[0.0, 8.0\] ms after the shot. Give delay="),
        ([-116] * 6, "starts -116 ms after the shot, and its 30 samples of 4 ms end before it"),
    ],
)
def test_delays_that_make_no_time_axis(path, delays, message):
    written(path)
    for k, value in enumerate(delays):
        patch(path, where=k, delay=value)
    with pytest.raises(ValueError, match=message):
        so.segy.read(path)
    assert so.segy.read(path, delay=0)[2].nt == NT


def test_a_start_later_than_any_wave(path):
    written(path)
    patch(path, delay=32000, scaltime=32000)
    with pytest.raises(ValueError, match=r"line\.segy starts 1.024e\+09 ms after the shot.*later than any wave"):
        so.segy.read(path)
    with pytest.raises(ValueError, match="delay cannot be inf"):
        so.segy.read(path, delay=np.inf)


def test_files_of_two_surveys(tmp_path):
    src, rec = survey()
    so.segy.write(tmp_path / "a.segy", np.zeros(rec.shape), src, rec)
    finer = so.Geometry(rec.positions, dt=2.0, nt=NT)
    so.segy.write(tmp_path / "b.segy", np.zeros(rec.shape), src, finer)
    with pytest.raises(ValueError, match=r"a\.segy has 30 samples of 4 ms, .*b\.segy has 30 samples of 2 ms"):
        so.segy.read([tmp_path / "a.segy", tmp_path / "b.segy"])


# ---------------------------------------------------------------------- files that are not what they say


def cut(data, n):
    return data[: len(data) - n]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "is no SEG-Y file: it has 0 bytes, and headers take 3600"),
        (lambda data: data[:3599], "is no SEG-Y file: it has 3599 bytes"),
        (lambda data: data[:3600], "holds no trace: it ends at byte 3600"),
        (lambda data: cut(data, 1), "is truncated, .* 30 samples of format 5 make 360 bytes a trace, and it has 5 "),
        (lambda data: data + b"\0" * 11, "has 6 traces and 11 bytes more"),
        (lambda data: data[:3700], "has 0 traces and 100 bytes more"),
        (lambda data: np.frombuffer(data, "u2").byteswap().tobytes(), "the other byte order .*endian='little'"),
        (lambda data: np.random.default_rng(0).bytes(9000), "has the sample format"),
        (lambda data: b"\0" * 9000, "has the sample format 0; those that can be read are"),
    ],
)
def test_files_that_are_no_segy(path, change, message):
    written(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"line\.segy .*{message}"):
        so.segy.read(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"nt": 0}, "has traces of 0 samples"),
        ({"nt": 29}, "is truncated, or its headers are wrong: 29 samples"),
        ({"nt": -1}, "65535 samples of format 5 make 262380 bytes a trace, and it has 0 traces"),
        # Twelve traces fit as well; their own headers say otherwise.
        ({"format": 3, "nt": 60}, "contradicts itself: trace 0 has 30 samples by its own header, and 60"),
        ({"format": 4}, "has the sample format 4"),
        ({"format": 6}, "is truncated"),
        ({"extended": -1}, r"does not say how many extended text headers it has \(-1"),
        ({"extended": 2}, "holds no trace"),
        ({"longnt": 2**31 - 1, "revision": 2}, "is truncated, or its headers are wrong: 2147483647 samples"),
        ({"additional": 1, "revision": 2}, "has additional trace headers"),
    ],
    ids=str,
)
def test_binary_headers_that_are_wrong(path, words, message):
    written(path)
    patch(path, **{k: v for k, v in words.items() if k != "nt"})
    if "nt" in words:
        data = bytearray(path.read_bytes())
        struct.pack_into(">h", data, 3220, words["nt"])
        path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"line\.segy .*{message}"):
        so.segy.read(path)


def test_traces_that_differ_in_length(path):
    written(path)
    data = bytearray(path.read_bytes())
    struct.pack_into(">h", data, 3600 + 4 * 360 + 114, 25)
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"line\.segy contradicts itself: trace 4 has 25 samples by its own header, and"
    ):
        so.segy.read(path)


def test_a_file_cut_off_between_two_traces(path):
    d, _, _ = written(path, (3, 3, 3))
    path.write_bytes(cut(path.read_bytes(), 2 * 360))
    with pytest.warns(UserWarning, match="the last shot has 1 traces, and the binary header says 3 a shot"):
        data, _, rec = so.segy.read(path)
    assert rec.counts == (3, 3, 1)
    assert np.array_equal(np.asarray(data), d.ravel()[: 7 * NT])


def test_the_other_byte_order(path):
    d, src, rec = written(path)
    data = path.read_bytes()
    # First byte, bytes and bytes a word of what a file is made of, each word turned round.
    header = [(0, 28, 4), (28, 8, 2), (36, 32, 4), (68, 4, 2), (72, 16, 4), (88, 152, 2), (240, 4 * NT, 4)]
    parts = [(3200, 12, 4), (3212, 300, 2), *((3600 + k * 360 + a, n, w) for k in range(6) for a, n, w in header)]
    out = bytearray(data)
    for a, n, w in parts:
        out[a : a + n] = np.frombuffer(data[a : a + n], f">i{w}").astype(f"<i{w}").tobytes()
    path.write_bytes(out)
    with pytest.raises(ValueError, match=r"line\.segy has the other byte order"):
        so.segy.read(path)
    lazy, src2, rec2 = so.segy.read(path, endian="little")
    assert np.array_equal(np.asarray(lazy), d)
    assert same(src, src2)
    assert same(rec, rec2)
    with pytest.raises(ValueError, match="endian is 'big' or 'little', not 'middle'"):
        so.segy.read(path, endian="middle")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(path, value):
    written(path)
    data = bytearray(path.read_bytes())
    struct.pack_into(">f", data, 3600 + 4 * 360 + 240 + 8, value)
    path.write_bytes(data)
    data, _, _ = so.segy.read(path)
    assert np.isfinite(data[0]).all()
    with pytest.raises(
        ValueError, match=r"line\.segy has samples that are not finite, in 1 traces of shot 1, .* trace 4"
    ):
        data[1]


def test_a_file_that_changes_after_its_headers_were_read(path):
    written(path)
    data, _, _ = so.segy.read(path)
    stamp = path.stat().st_mtime_ns
    os.utime(path, ns=(stamp, stamp + 1_000_000))
    with pytest.raises(OSError, match=r"line\.segy cannot be read: it has been written since its headers were read"):
        data[0]
    # Shorter, in the same instant.
    path.write_bytes(cut(path.read_bytes(), 360))
    os.utime(path, ns=(stamp, stamp))
    with pytest.raises(OSError, match=r"line\.segy cannot be read: segyio finds 5 traces of 30 samples"):
        data[0]
    with pytest.raises(OSError, match=r"line\.segy has become shorter while it was read"):
        list(data.files[0].headers(["SourceX"]))
    path.unlink()
    with pytest.raises(OSError, match=r"line\.segy cannot be read"):
        data[0]


def test_files_that_are_not_there(tmp_path, path):
    written(path)
    for missing in (tmp_path / "no.segy", str(tmp_path / "*.sgy"), [], tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no file"):
            so.segy.read(missing)
    with pytest.raises(ValueError, match="A file stands twice"):
        so.segy.read([path, str(path)])


def test_without_segyio(path, monkeypatch):
    written(path)
    monkeypatch.setitem(sys.modules, "segyio", None)
    with pytest.raises(ImportError, match=r"SEG-Y files need segyio: pip install 'seisops\[io\]'"):
        so.segy.read(path)


def test_mutated_files(tmp_path):
    script = Path(__file__).with_name("fuzz_segy.py")
    command = [sys.executable, "-X", "faulthandler", script, tmp_path, "0", "300"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "read" in done.stdout
    assert "Error" in done.stdout


# ---------------------------------------------------------------------- writing


def geometry(positions, **axis):
    return so.Geometry(positions, **({"dt": DT, "nt": NT} | axis))


ONE, TWO = [[[100.0, 6.0]]], [[[100.0, 6.0]], [[200.0, 6.0]]]


@pytest.mark.parametrize(
    ("src", "rec", "options", "message"),
    [
        (geometry(TWO), geometry(ONE), {}, "are not of one survey"),
        (geometry([[[0.0, 0.0, 6.0]]]), geometry(ONE), {}, "are not of one survey"),
        (geometry([[[1.0, 6.0], [2.0, 6.0]]]), geometry(ONE), {}, "A SEG-Y trace has one source"),
        (geometry(ONE), geometry(ONE, dt=2.0833), {}, r"in whole µs, 1 to 32767; 2.0833 ms is none"),
        (geometry(ONE), geometry(ONE, dt=40.0), {}, "40 ms is none"),
        (geometry(ONE), geometry(ONE, nt=65536), {}, "up to 65535 samples a trace, got 65536"),
        (geometry(ONE), geometry(ONE), {"format": "ascii"}, "format is one of ieee, ibm, double, not 'ascii'"),
        (geometry(ONE), geometry(ONE), {"scalar": -7}, "scalar is one of .*, not -7"),
        (geometry(ONE), geometry([[[3e5, 6.0]]]), {"scalar": -10000}, r"300000 m does not fit .* reaches to 214748 m"),
        (geometry(ONE), geometry([[[3e9, 6.0]]]), {}, r"3e\+09 m does not fit into four bytes with the scalar 1"),
    ],
)
def test_what_cannot_be_written(path, src, rec, options, message):
    with pytest.raises(ValueError, match=message):
        so.segy.write(path, np.zeros(rec.shape), src, rec, **options)
    assert not path.exists()


@pytest.mark.parametrize(
    ("d", "message"),
    [
        (
            np.zeros((1, 3, NT)),
            r"Data of shape \(1, 3, 30\) do not fit .* with 3 receivers, which has shape \(2, 3, 30\)",
        ),
        (np.zeros((2, NT, 3)), r"Data of shape \(2, 30, 3\)"),
        (np.full((2, 3, NT), np.nan), "Shot 0 has samples that are not finite in float32"),
        (np.full((2, 3, NT), 1e300), "Shot 0 has samples that are not finite in float32"),
        (np.zeros((2, 3, NT), complex), "SEG-Y keeps real numbers, not complex128"),
    ],
)
def test_data_that_cannot_be_written(path, d, message):
    before, src, rec = written(path)
    with pytest.raises(ValueError, match=message):
        so.segy.write(path, d, src, rec)
    # What stood there stands there still, and nothing beside it.
    assert np.array_equal(np.asarray(so.segy.read(path)[0]), before)
    assert list(path.parent.iterdir()) == [path]


def test_shots_of_another_survey_are_not_written(path):
    written(path, (3, 2))
    data, src, rec = so.segy.read(path)
    # Fewer traces, and as many in other shots.
    for other in ([p[:2] for p in rec.positions], rec.positions[::-1]):
        with pytest.raises(ValueError, match=r"Shots\(2 shots .* with \(3, 2\) receivers do not fit"):
            so.segy.write(path, data, src, so.Geometry(other, dt=DT, nt=NT))


def test_a_file_is_written_from_itself(path):
    d, _, _ = written(path, (2, 2, 2))
    data, src, rec = so.segy.read(path)
    so.segy.write(path, data[1:], src[1:], rec[1:])
    assert np.array_equal(np.asarray(so.segy.read(path)[0]), d[1:])


def test_every_whole_interval_can_be_written(path):
    # 1000 times it is less than 1001.
    src, rec = geometry(ONE, dt=1.001), geometry(ONE, dt=1.001)
    so.segy.write(path, np.zeros(rec.shape), src, rec)
    assert so.segy.read(path)[2].dt == 1.001


def test_long_traces(path):
    src, rec = geometry(ONE, nt=40000), geometry(ONE, nt=40000)
    d = random(rec.shape, dtype="float32")
    so.segy.write(path, d, src, rec)
    assert np.array_equal(np.asarray(so.segy.read(path)[0]), d)


def test_velocities_are_checked_as_shots_are(path):
    written(path)
    assert inspect(path).ntrace == 6
    path.write_bytes(cut(path.read_bytes(), 7))
    with pytest.raises(ValueError, match=r"line\.segy is truncated"):
        so.models.load(path)
    path.write_bytes(path.read_bytes()[:3600] + bytes(360))
    patch(path, system=2)
    with pytest.raises(ValueError, match=r"line\.segy is in feet"):
        so.models.load(path)


@pytest.mark.parametrize("name", so.segy.__all__)
def test_words(name):
    doc = getattr(so.segy, name).__doc__
    assert "Attributes\n" in doc or ("Parameters\n" in doc and "Raises\n" in doc and ">>> " in doc)
