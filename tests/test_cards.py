"""What a notebook shows, and what is equal."""

import pickle

import numpy as np
from zoo import operator, world

import seisops as so


def text(thing):
    import re

    return re.sub(r"<[^>]*>", " ", thing._repr_html_())


def test_an_operator_shows_its_sentence_shapes_medium_and_survey():
    w = world("2d")
    shown = text(w.F)
    assert "Pr @ A @ Ps.H" in shown
    assert "2 x 1 x 61 (shot, point, time), data" in shown
    assert "2 x 3 x 61 (shot, point, time), data" in shown
    assert repr(w.model) in shown
    assert repr(w.src) in shown and repr(w.rec) in shown
    assert "25 x 21 (x, z), grid" in text(w.J)
    assert "2 x 72 x 45 x 41 (shot, time step, x, z), wavefields" in text(w.A)
    assert "1 x 61 (point, time), data" in text(w.F[0])
    assert "y, z" in text(world("3d").A)
    assert "(shot, point, time)" not in text(w.samplers(w.ragged)).partition("gives")[2].partition("model")[0]
    for name in ("F + F2", "M F"):
        assert "takes" in text(operator(name))


def test_what_is_shown_is_no_markup():
    w = world("2d")
    P = so.preconditioners.ShotWise(lambda g: None, w.rec, name="<b>")
    assert "&lt;b&gt;" in P._repr_html_() and "<b>" not in P._repr_html_()


def test_a_model_shows_its_axes_units_and_edges():
    shown = text(world("surface").model)
    for part in (
        "s²/km²",
        "km/s",
        "25 points every 10 m, from 0 to 240 m",
        "ms, for",
        "10 cells of CPML, free surface",
    ):
        assert part in shown


def test_a_geometry_shows_where_and_when_it_measures():
    rec = so.Geometry.spread([50, 950], 20, nsrc=3, dt=2, t=1000)
    shown = text(rec)
    for part in ("shots", "50 to 950 m", "20 to 20 m", "0 to 1000 ms, 501 samples of 2 ms"):
        assert part in shown


def test_geometries_of_one_content_are_equal():
    def make(x=50.0, **kwargs):
        return so.Geometry.spread([x, 950], 20, nsrc=3, **({"dt": 2, "t": 1000} | kwargs))

    one = make()
    assert one == make() and hash(one) == hash(make()) and len({one, make()}) == 1
    assert one == pickle.loads(pickle.dumps(one)) and one[1] == make()[1] and one[:2] == make()[:2]
    for other in (make(51.0), make(dt=4), make(t=998), one[0], one[[0]], one[:2], "geometry", None):
        assert one != other
    ragged = so.Geometry([np.ones((2, 2)), np.ones((1, 2))], dt=2, t=1000)
    assert ragged == so.Geometry([np.ones((2, 2)), np.ones((1, 2))], dt=2, t=1000) != ragged[::-1]
