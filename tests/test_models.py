"""Models: their grids, what they do with their edges, and those of files and recipes."""

import pickle

import numpy as np
import pytest
from zoo import DOT, random

import seisops as so


def test_copies_do_not_change_either():
    import copy
    import pickle

    w = so.Model(v=np.full((15, 14), 2.0), spacing=10.0)
    g = so.Geometry([[[50.0, 60.0]]], dt=2.0, t=60.0)
    P = so.Projection(w, g)
    for again in (pickle.loads(pickle.dumps((w, g, P))), copy.deepcopy((w, g, P)), tuple(map(copy.copy, (w, g, P)))):
        model, geometry, Pr = again
        for array in (
            model.m,
            model.v,
            model.coefficients["m"],
            geometry.positions[0],
            Pr.model.m,
            Pr.geometry.positions[0],
        ):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 1
        with pytest.raises(AttributeError, match="does not change"):
            model.dt = 1.0
        assert np.array_equal(model.m, w.m) and repr(model) == repr(w)


def model(shape=(25, 21), **options):
    v = 2 + 0.1 * random(shape)
    return so.Model(**({"v": v, "spacing": (10.0, 12.0, 11.0)[: len(shape)], "dtype": "float64"} | options))


GRIDS = [
    {"shape": (25, 21)},
    {"shape": (25, 21), "free_surface": True},
    {"shape": (13, 11, 12)},
    {"shape": (13, 11, 12), "free_surface": True},
    {"shape": (5, 7), "absorb": 3},
    {"shape": (5, 7), "absorb": 0},
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_pad_and_its_transpose(grid):
    earth = model(**grid)
    x, y = random(earth.shape, 1), random(earth.padded_shape, 2)
    assert earth.pad(x).shape == earth.padded_shape
    left, right = np.vdot(earth.pad(x), y), np.vdot(x, earth.pad_adjoint(y))
    assert abs(left - right) <= DOT["float64"] * np.linalg.norm(earth.pad(x)) * np.linalg.norm(y)
    assert np.array_equal(earth.crop(earth.pad(x)), x)
    # The layer continues the edge.
    assert np.array_equal(np.unique(earth.pad(x)), np.unique(x))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_crop_and_its_transpose(grid):
    earth = model(**grid)
    x, y = random(earth.shape, 1), random(earth.padded_shape, 2)
    assert np.vdot(earth.crop(y), x) == pytest.approx(np.vdot(y, earth.embed(x)), abs=1e-12 * y.size)
    assert np.array_equal(earth.crop(earth.embed(x)), x)
    assert np.count_nonzero(earth.embed(x)) == x.size
    # Leading axes, as wavefields have them.
    stack = np.stack([y, 2 * y])
    assert np.array_equal(earth.crop(stack)[1], 2 * earth.crop(y))
    assert np.array_equal(earth.embed(np.stack([x, 2 * x]))[1], 2 * earth.embed(x))


def test_padded_shape():
    assert model().padded_shape == (45, 41)
    assert model(free_surface=True).padded_shape == (45, 31)
    assert model(absorb=0).padded_shape == (25, 21)
    assert model((13, 11, 12), absorb=2).padded_shape == (17, 15, 16)


def test_velocity_and_slowness_are_one():
    v = 2 + 0.1 * random((25, 21))
    a, b = so.Model(v=v, spacing=10, dtype="float64"), so.Model(m=1 / v**2, spacing=10, dtype="float64")
    assert np.allclose(a.m, b.m, rtol=1e-14)
    assert np.allclose(a.v, v, rtol=1e-14)
    assert a.dt == b.dt
    assert a.v.shape == a.m.shape == a.shape == (25, 21)


def test_dtypes():
    for dtype in ("float32", "float64", np.float32, np.dtype("float64")):
        earth = model(dtype=dtype)
        assert earth.m.dtype == earth.v.dtype == earth.coefficients["m"].dtype == np.dtype(dtype)
    assert so.Model(v=np.full((5, 5), 2.0), spacing=10).dtype == np.float32


def test_integers_are_velocities():
    assert so.Model(v=np.full((5, 5), 2), spacing=10).m[0, 0] == 0.25


@pytest.mark.parametrize("shape", [(25, 21), (13, 11, 12)])
@pytest.mark.parametrize("order", [2, 4, 8, 12])
def test_time_step_is_that_of_the_stability_limit(shape, order):
    # The largest eigenvalue of the discrete Laplacian on an infinite grid: that of the checkerboard, by its symbol.
    offsets = np.arange(1, order // 2 + 1)
    A = np.array([offsets ** (2.0 * k) for k in range(1, len(offsets) + 1)])
    weights = np.linalg.solve(A, np.eye(len(offsets))[0])
    largest = sum(2 * np.sum(weights * (1 - (-1.0) ** offsets)) for _ in shape) / 10.0**2
    earth = so.Model(v=np.full(shape, 2.0), spacing=10, space_order=order, vmax=2.0, dtype="float64")
    limit = 2 / (2.0 * np.sqrt(largest))
    assert earth.dt <= limit
    # Four significant digits, rounded down.
    assert earth.dt == pytest.approx(limit, rel=1e-3)


def test_the_time_step_is_pinned():
    earth = model()
    slower = earth.at(m=1.5 * earth.m)
    assert (slower.dt, slower.vmax) == (earth.dt, earth.vmax)
    assert slower.grid_key == earth.grid_key
    assert np.allclose(slower.m, 1.5 * earth.m)
    assert np.allclose(slower.v, 1 / np.sqrt(1.5 * earth.m))
    assert np.allclose(slower.coefficients["m"], earth.coefficients["m"] / 1.5)
    assert np.array_equal(earth.at(m=earth.m.ravel()).m, earth.m)


def test_a_model_up_to_vmax_is_welcome():
    earth = model(vmax=3.0)
    assert earth.at(m=np.full(earth.shape, 1 / 9.0)).v.max() == pytest.approx(3.0)


def test_input_is_copied():
    v = np.full((25, 21), 2.0)
    m = 1 / v**2
    a, b = so.Model(v=v, spacing=10, dtype="float64"), so.Model(m=m, spacing=10, dtype="float64")
    c = a.at(m=m)
    v[:], m[:] = 1, 1
    for earth in (a, b, c):
        assert earth.m[0, 0] == 0.25
    m[0, 0] = 2  # still the caller's to write


def test_extent_and_origin():
    earth = model(origin=(100.0, -50.0))
    assert earth.extent == ((100.0, 340.0), (-50.0, 190.0))
    assert model(spacing=5).spacing == (5.0, 5.0)


def test_repr_of_a_model():
    earth = so.Model(v=np.full((101, 51), 2.0), spacing=(10, 12.5), free_surface=True, absorb=20)
    assert repr(earth).startswith("Model(101 x 51, spacing 10 x 12.5 m, v 2-2 km/s, dt ")
    assert repr(earth).endswith("ms, CPML 20 cells, free surface, float32)")


def test_pickle_of_a_model():
    earth = model()
    again = pickle.loads(pickle.dumps(earth))
    assert again.grid_key == earth.grid_key
    assert np.array_equal(again.m, earth.m)
    with pytest.raises(AttributeError):
        again.m = 1


def test_two_models_of_one_grid_multiply():
    a, b = model(), model()
    rec = so.Geometry([[[50.5, 60.6]]], dt=2, t=60)
    assert (so.Projection(a, rec) @ so.Modeling(b, rec)).dims == so.Modeling(a, rec).dims


# ---------------------------------------------------------------------- recipes


def test_faulted():
    v = so.models.faulted((81, 61), 25.0, water=200.0)
    assert v.shape == (81, 61)
    assert v.min() == 1.5
    assert 3.5 < v.max() <= 4.5
    assert np.all(v[:, :7] == 1.5)
    assert np.all(v[:, -1] > 1.5)
    assert np.array_equal(v, so.models.faulted((81, 61), 25.0, water=200.0))
    assert not np.array_equal(v, so.models.faulted((81, 61), 25.0, water=200.0, seed=8))


def test_faulted_puts_its_structures_elsewhere_for_every_seed():
    sections = [so.models.faulted((81, 61), 25.0, seed=seed) for seed in range(8)]
    # The wedge is the fastest rock; above its base, at 0.97 of the depth, it is highest in the middle.
    tops = [int(np.argmax(np.sum(v[:, :58] >= 4.19, axis=1))) for v in sections]
    assert len(set(tops)) >= 6
    assert abs(tops[7] - 0.8 * 80) <= 3, "the section of the pictures has moved"
    assert all(v.min() == 1.5 and v.max() <= 4.5 for v in sections)


def test_smooth():
    v = so.models.faulted((81, 61), 25.0)
    water = v <= 1.5
    smoothed = so.models.smooth(v, 4, keep=water)
    assert np.array_equal(smoothed[water], v[water])
    # An average of slowness lies between its extremes.
    assert smoothed[~water].min() >= v[~water].min() - 1e-12
    assert smoothed.max() <= v.max()
    assert np.abs(np.diff(smoothed[40, 20:])).max() < np.abs(np.diff(v[40, 20:])).max()
    assert np.allclose(so.models.smooth(np.full((9, 9), 2.0), 3), 2.0)


# ---------------------------------------------------------------------- files


V = 1.5 + np.arange(20 * 10).reshape(20, 10) / 100


@pytest.mark.parametrize("unit", [1, 1000])
def test_load_numpy(tmp_path, unit):
    np.save(tmp_path / "model.npy", V * unit)
    v, spacing = so.models.load(tmp_path / "model.npy", spacing=(10, 5))
    assert np.allclose(v, V)
    assert spacing == (10.0, 5.0)
    assert so.models.load(str(tmp_path / "model.npy"), spacing=10)[1] == (10.0, 10.0)


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
@pytest.mark.parametrize("kind", ["v", "m"])
def test_load_hdf5(tmp_path, kind, suffix):
    import h5py

    with h5py.File(tmp_path / f"model.{suffix}", "w") as file:
        file["d"] = (12.5, 8.0)
        # Axes stored in reverse, as Julia writes them.
        file["n"] = V.shape
        file[kind] = (V if kind == "v" else 1 / V**2).T
    v, spacing = so.models.load(tmp_path / f"model.{suffix}")
    assert np.allclose(v, V)
    assert spacing == (12.5, 8.0)


def test_load_segy(tmp_path):
    import segyio

    path = tmp_path / "model.segy"
    spec = segyio.spec()
    spec.format, spec.samples, spec.tracecount = 1, np.arange(V.shape[1]) * 8.0, len(V)
    with segyio.create(path, spec) as file:
        for i, trace in enumerate(V):
            file.trace[i] = (1000 * trace).astype(np.float32)
            file.header[i] = {
                segyio.TraceField.CDP_X: 1250 * i,
                segyio.TraceField.SourceGroupScalar: -100,
                segyio.TraceField.TRACE_SAMPLE_INTERVAL: 8000,
            }
        file.bin.update(hdt=8000)
    v, spacing = so.models.load(path)
    # IBM floats of single precision.
    assert np.allclose(v, V, rtol=1e-6)
    assert spacing == (12.5, 8.0)


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(ValueError, match=r"a file of .npy, .h5.*got model.txt"):
        so.models.load(tmp_path / "model.txt")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*missing\.npy"):
        so.models.load(tmp_path / "missing.npy")
    np.save(tmp_path / "model.npy", V)
    with pytest.raises(ValueError, match=r"model\.npy does not say its grid spacing; give spacing="):
        so.models.load(tmp_path / "model.npy")
    import h5py

    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["rho"] = V
    with pytest.raises(ValueError, match=r"model\.h5 holds no v and no m, but \['rho'\]"):
        so.models.load(tmp_path / "model.h5")


def test_one_of_several_models(tmp_path):
    import h5py

    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["m"], file["m0"], file["v_smooth"], file["d"] = V**-2.0, (2 * V) ** -2.0, 3 * V, [10.0, 5.0]
    for dataset, scale in ((None, 1), ("m", 1), ("m0", 2), ("v_smooth", 3)):
        v, _ = so.models.load(tmp_path / "two.h5", dataset=dataset)
        assert np.allclose(v, scale * V, rtol=1e-12)
    with pytest.raises(ValueError, match=r"two\.h5 holds no m1, but"):
        so.models.load(tmp_path / "two.h5", dataset="m1")
    np.save(tmp_path / "model.npy", V)
    with pytest.raises(ValueError, match=r"no HDF5 file: it has one model and no dataset 'm0'"):
        so.models.load(tmp_path / "model.npy", 10.0, dataset="m0")


def test_units_stand_behind_values_of_every_medium():
    from dataclasses import dataclass

    from seisops.physics import Parameter, VariableDensity

    @dataclass(frozen=True)
    class Mine(VariableDensity):
        parameters = VariableDensity.parameters | {"c": Parameter("conductivity", "mS/m", default=2.0)}

    ones = np.ones((21, 21))
    shown = repr(so.Model(physics=Mine(), m=0.25 * ones, rho=1.5 * ones, c=3 * ones, spacing=10))
    assert "v 2-2 km/s, rho 1.5-1.5 g/cm³, c 3-3 mS/m, dt" in shown
    axial = so.Model(v=2 * ones, epsilon=0.2 * ones, delta=0.1 * ones, spacing=10)
    assert "epsilon 0.2-0.2, delta 0.1-0.1, rho" in repr(axial)
    assert "0.2 to 0.2<" in axial._repr_html_()
