"""Pictures show what they are given, where it is."""

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
    ax = so.plot.shot(w.rec, w.d, i=1, clip=90.0)
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
    with pytest.raises(ValueError, match=r"has shape \(nt, 45, 41\), got \(2, "):
        so.plot.movie(w.model, w.A @ w.Ps.H @ w.q, tmp_path / "wave.gif")
    with pytest.raises(ValueError, match=r"a file of .gif or .mp4, got wave.avi"):
        so.plot.movie(w.model, u, tmp_path / "wave.avi")
