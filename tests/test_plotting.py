"""Pictures show what they are given, where it is."""

import subprocess
import sys

import numpy as np
import pytest
from zoo import world

import seisops as so


@pytest.fixture(autouse=True)
def headless():
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_importing_leaves_the_settings_of_matplotlib():
    lines = [
        "import matplotlib",
        "before = dict.copy(matplotlib.rcParams)",
        "import seisops",
        "print([k for k, x in before.items() if k != 'backend' and x != dict.__getitem__(matplotlib.rcParams, k)])",
    ]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_sections_are_in_kilometres_with_depth_downwards():
    w = world("2d")
    ax = so.plot.section(w.model, w.model.v, survey=(w.src, w.rec), label="km/s", title="earth")
    image = ax.images[0]
    assert image.get_extent() == [0.0, 0.24, 0.24, 0.0]
    assert np.array_equal(image.get_array(), w.model.v.T)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("x (km)", "depth (km)", "earth")
    x, z = ax.lines[1].get_data()
    assert np.allclose(np.stack([x, z], 1) * 1000, np.concatenate(w.rec.positions))


def test_perturbations_are_symmetric_about_zero():
    w = world("2d")
    low, high = so.plot.section(w.model, w.dm, clip=99.0).images[0].get_clim()
    assert low == -high == -np.percentile(np.abs(w.dm), 99.0)


def test_shots_have_time_downwards():
    w = world("2d")
    rec = so.Geometry.spread([50.0, 100.0, 150.0], 20.0, nsrc=2, dt=2.0, t=w.t)
    ax = so.plot.shot(rec, w.d, i=1, clip=90.0)
    image = ax.images[0]
    assert np.array_equal(image.get_array(), w.d[1].T)
    assert image.get_extent()[2:] == [w.rec.time[-1] / 1000, 0]
    assert image.get_clim()[1] == np.percentile(np.abs(w.d[1]), 90.0)
    assert ax.get_ylabel() == "time (s)"


def test_an_overlay_has_both():
    w = world("2d")
    ax = so.plot.overlay(w.model, w.model.v, w.dm, clip=95.0)
    below, above = ax.images
    assert np.array_equal(below.get_array(), w.model.v.T)
    assert np.array_equal(above.get_array(), w.dm.T)
    assert above.get_extent() == below.get_extent()


def test_convergence_has_a_curve_for_every_name():
    ax = so.plot.convergence({"CGLS": [1, 0.5], "LSQR": [1, 0.4, 0.2]})
    assert [line.get_label() for line in ax.lines] == ["CGLS", "LSQR"]
    assert ax.get_yscale() == "log"


def test_movies(tmp_path):
    from PIL import Image

    w = world("2d")
    u = (w.A @ w.Ps.H @ w.q)[0]
    so.plot.movie(w.model, u, tmp_path / "wave.gif", frames=5)
    with Image.open(tmp_path / "wave.gif") as gif:
        assert gif.n_frames == 5
    with pytest.raises(ValueError, match=r"one shot in 2-D, \(nt, 45, 41\) or \(time, 25, 21\); got \(2, "):
        so.plot.movie(w.model, w.A @ w.Ps.H @ w.q, tmp_path / "wave.gif")
    s = so.snapshots(w.F, w.q, every=20.0, window=[(50.0, 150.0), None])
    so.plot.movie(s.model, s.u[0], tmp_path / "part.gif", times=s.times)
    with Image.open(tmp_path / "part.gif") as gif:
        assert gif.n_frames == len(s.times)
    with pytest.raises(ValueError, match="7 pictures have 2 times"):
        so.plot.movie(s.model, s.u[0], tmp_path / "part.gif", times=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"a file of .gif or .mp4, got wave.avi"):
        so.plot.movie(w.model, u, tmp_path / "wave.avi")


def test_traces_stand_where_their_receivers_are():
    # Irregular, out of order, and with a gap that stays white.
    x = np.array([100.0, 130.0, 200.0, 110.0, 600.0, 660.0])
    rec = so.Geometry.spread(x, 20, nsrc=1, dt=4, t=100)
    d = np.arange(6.0)[None, :, None] * np.ones(rec.shape)
    mesh = so.plot.shot(rec, d).collections[0]
    edges = mesh.get_coordinates()[0, :, 0] * 1000
    values = np.ma.filled(mesh.get_array(), np.nan).reshape(rec.nt, -1)[0]
    for trace, position in enumerate(x):
        column = np.searchsorted(edges, position) - 1
        assert edges[column] < position < edges[column + 1]
        assert values[column] == trace
    assert np.isnan(values[np.searchsorted(edges, 400.0) - 1])


def test_a_regular_spread_has_its_traces_in_the_middle_of_their_pixels():
    rec = so.Geometry.spread(np.linspace(100, 500, 5), 20, nsrc=1, dt=4, t=100)
    assert np.allclose(so.plot.shot(rec, np.zeros(rec.shape)).images[0].get_extent()[:2], [0.05, 0.55])


@pytest.mark.parametrize(
    "points, label",
    [
        ([[50.0, z] for z in (10.0, 20.0, 50.0)], "receiver depth (km)"),
        ([[x, y, 20.0] for x in (1.0, 2.0) for y in (5.0, 9.0)], "receiver"),
        ([[50.0, 20.0]], "receiver x (km)"),
    ],
)
def test_receivers_in_a_well_on_a_grid_and_alone(points, label):
    rec = so.Geometry([points], dt=4, t=100)
    assert so.plot.shot(rec, np.ones(rec.shape)).get_xlabel() == label


def test_flat_arrays_are_understood_and_others_refused():
    w = world("2d")
    ax = so.plot.section(w.model, w.dm.ravel())
    assert np.array_equal(ax.images[0].get_array(), w.dm.T)
    for call in (lambda x: so.plot.section(w.model, x), lambda x: so.plot.overlay(w.model, w.model.v, x)):
        with pytest.raises(ValueError, match=r"takes values of shape \(25, 21\), or flat; got \(21, 25\)"):
            call(w.dm.T)


def test_a_model_in_3d_is_drawn_as_slices():
    w = world("3d")
    figure = w.model.plot(at=(30.0, 48.0, 55.0))
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    v = w.model.v
    for picture, expected in zip(pictures, (v[:, 4], v[3], v[:, :, 5]), strict=True):
        assert np.array_equal(picture, expected.T)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["y = 0.048 km", "x = 0.03 km", "depth = 0.055 km"]
    assert [ax.get_xlabel() for ax in figure.axes[:3]] == ["x (km)", "y (km)", "x (km)"]
    with pytest.raises(ValueError, match="A slice at y = 500 m is outside of the model, 0 to 120 m"):
        so.plot.section(w.model, at=500.0)
    with pytest.raises(ValueError, match="across 'x', 'y' or 'z', got 'depth'"):
        so.plot.section(w.model, across="depth")


def test_a_model_and_a_survey_draw_themselves():
    w = world("2d")
    ax = w.model.plot(survey=(w.src, w.rec)).axes[0]
    assert np.array_equal(ax.images[0].get_array(), w.model.v.T)
    assert len(ax.lines) == 2
    for drawn in (w.src.plot(w.rec), w.src.plot(w.rec, model=w.model)):
        x, z = drawn.lines[1].get_data()
        assert np.allclose(np.stack([x, z], 1) * 1000, np.concatenate(w.rec.positions))
