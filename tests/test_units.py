"""Numbers of another unit are refused, or warned of, with the number, the unit and what to write."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import seisops as so
from seisops.notices import ReflectingWarning
from seisops.units import UnitsWarning

# A section of 4 km by 2 km, as most first scripts have: velocities that grow with depth under water.
V = np.tile(np.linspace(1.5, 4.5, 81), (161, 1))
SPACING = 25.0


def model(**kwargs):
    return so.Model(**({"v": V, "spacing": SPACING} | kwargs))


def line(x=(100.0, 2000.0, 3900.0), depth=40.0, **kwargs):
    return so.Geometry.line(x, depth, **({"dt": 4.0, "t": 1800.0} | kwargs))


REFUSED = {
    "v in m/s": (
        lambda: model(v=1000 * V),
        "fastest velocity, 4500 km/s, is faster than any rock.*m/s.*4.5 for 4500 m/s.*v=v / 1000",
    ),
    "m in s²/m²": (lambda: model(v=None, m=1e-6 / V**2), "fastest velocity, 4500 km/s.*m=1e6"),
    "vmax in m/s": (lambda: model(vmax=4700), "vmax, 4700 km/s, is faster.*vmax=4.7"),
    "at(v=) in m/s": (lambda: model().at(v=900 * V), "fastest velocity, 4050 km/s.*v=v / 1000"),
    "dt of a model in s": (lambda: model(dt=0.002), r"dt = 0.002 ms is .* times smaller .* 0.002 s is dt=2"),
    "t in s": (
        lambda: so.Modeling(model(), line(dt=0.004, t=1.8)),
        "In t = 1.8 ms the fastest wave travels 8.9.* m, less than a cell of 25 m.*1.8 s is t=1800, 0.004 s is dt=4",
    ),
    "a long t in s": (
        lambda: so.Modeling(model(), line(dt=0.004, t=12)),
        "travels 59.4 m of a model of 4000 m, and dt = 0.004 ms is .* times finer.*12 s is t=12000",
    ),
    "positions in km": (
        lambda: so.Projection(model(), line((0.1, 2.0, 3.9), 0.04)),
        r"All 3 points of the survey lie in the first cell of the model, within 3.8 m.*25 m.*1000 \* positions",
    ),
    "positions in km, elsewhere": (
        lambda: so.Projection(model(origin=(20000.0, 0.0)), line((20.1, 22.0, 23.9), 0.04)),
        r"1 of 1 points lie outside.*as km they lie inside: \(20100, 40\) m for the first",
    ),
    "spacing in km": (
        lambda: so.Projection(model(spacing=0.025), line()),
        r"lie outside.*Spacing and origin are in m here too.*spacing=1000 \* spacing",
    ),
    "a transposed model": (
        lambda: so.Projection(model(v=V.T), line((2500.0, 3900.0))),
        r"1 of 1 points lie outside.*With x and depth exchanged they lie inside: .* axes \(x, z\).*give v\.T",
    ),
    "f0 in Hz": (lambda: so.ricker(line(), f0=15), "f0 = 15 kHz must lie between 0 and 0.125 kHz.*15 Hz is 0.015"),
    "corners in Hz": (
        lambda: so.preconditioners.band_pass(line(), (2, 4, 20, 30)),
        "from 0 to 0.125 kHz.*30 Hz is 0.03",
    ),
    "a low-pass in Hz": (lambda: so.preconditioners.band_pass(line(), (0, 0, 20, 30)), "30 Hz is 0.03"),
    "a mute in m/s": (
        lambda: so.preconditioners.reflection_mute(line(), line(), velocity=1500, t0=60),
        "velocity of the mute, 1500 km/s, is faster.*velocity=1.5",
    ),
}

WARNED = {
    "v as m": (lambda: model(v=None, m=V), r"m from 1.5 to 4.5 s²/km² are velocities from 0.471 to 0.816 km/s, slower"),
    "at(m=v)": (
        lambda: model().at(m=V),
        r"at\(m=\.\.\.\) with values from 1.5 to 4.5 .*0.471 to 0.816 km/s out of one of 1.5 to 4.5.*write at\(v=",
    ),
    "at(v=m)": (lambda: model().at(v=V**-2.0), r"at\(v=\.\.\.\) .*If they are squared slownesses, write at\(m="),
    "positions as indices": (
        lambda: so.Projection(model(), line((4.0, 80.0, 156.0), 2.0)),
        r"whole numbers and span 152 m of a model of 4000 m with 161 grid points.*i \* spacing, 3800 m",
    ),
    "dt in s": (lambda: so.Modeling(model(), line(dt=0.004)), "dt = 0.004 ms samples .* times finer.*0.004 s is dt=4"),
    "a spacing in km and little else": (
        lambda: so.Modeling(model(spacing=0.0025), line()),
        "times through a model of 0.4 m.*a spacing of 0.0025 km is spacing=2.5",
    ),
    "a mute in km": (
        lambda: so.preconditioners.top_mute(model(), 0.5),
        "A mute of 0.5 m is less than a cell of 25 m, and does nothing.*0.5 km is 500",
    ),
    "a taper in km": (lambda: so.preconditioners.taper(model(), 0.3), "A taper of 0.3 m is less.*0.3 km is 300"),
    "an average in km": (lambda: so.preconditioners.smoothing(model(), 0.1), "An average of 0.1 m.*0.1 km is 100"),
    "a taper in s": (
        lambda: so.preconditioners.time_taper(line(), 0.2),
        "The width of 0.2 ms is less than a sample of 4 ms.*0.2 s is 200",
    ),
    "t0 of a mute in s": (
        lambda: so.preconditioners.turning_mute(line(), line(), velocity=1.5, t0=0.06),
        "The time t0 of 0.06 ms.*0.06 s is 60",
    ),
    "a buffer in km": (
        lambda: so.aperture(so.modeling(model(), line(), line()), buffer=0.5),
        "A buffer of 0.5 m is less than a cell of 25 m.*0.5 km is 500",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_only_be_another_unit_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", WARNED)
def test_what_is_hardly_this_unit_is_warned_of(name):
    call, message = WARNED[name]
    with pytest.warns(UnitsWarning, match=message):
        call()


def test_a_model_without_a_layer():
    with pytest.warns(ReflectingWarning, match="absorb=0 leaves the absorbing layer out: all edges reflect"):
        model(absorb=0)


LEGITIMATE = {
    # A sample of 4 cm at 500 kHz; times in ms are small, lengths in m as well.
    "a laboratory": ({"v": np.full((161, 81), 6.0), "spacing": 2.5e-4}, (0.005, 0.035), 0.002, 2e-5, 0.03, 500.0),
    # Soil, slower than any rock, at 60 Hz.
    "soil": (
        {"v": np.linspace(0.15, 0.4, 81) * np.ones((161, 1)), "spacing": 0.25},
        (5.0, 35.0),
        1.0,
        0.5,
        300.0,
        0.06,
    ),
    # A mantle of 800 km at 0.02 Hz.
    "the mantle": ({"v": np.full((161, 81), 13.5), "spacing": 5000.0}, (1e5, 7e5), 1e4, 200.0, 2e5, 2e-5),
    # An array that takes a corner of a large model.
    "a short array": ({"v": V, "spacing": 25.0}, (50.0, 52.5, 60.0), 5.0, 4.0, 1800.0, 0.006),
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_no_word_where_the_scale_is_another(name):
    earth, x, depth, dt, t, f0 = LEGITIMATE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        earth = so.Model(**earth)
        src = so.Geometry.line(x, depth, dt=dt, t=t)
        so.modeling(earth.at(v=0.99 * earth.v), src, src)
        so.ricker(src, f0)
        so.preconditioners.top_mute(earth, 3 * earth.spacing[0])


def test_a_warning_comes_once_for_a_grid_and_points_at_the_line_that_made_it():
    here = model()
    F = so.modeling(here, line(), line())
    q = so.ricker(line(), 0.03)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for k in range(3):
            # As an inversion goes on: the slowest velocity is another one every time.
            so.fwi(F.at(v=(0.99 - 0.01 * k) * here.v), q, np.zeros(F.dimsd))
        so.fwi(F, q, np.zeros(F.dimsd))
    assert [w.filename for w in told] == [__file__]
    assert re.search(r"fwi\(F\.at\(v=", Path(__file__).read_text().splitlines()[told[0].lineno - 1])
