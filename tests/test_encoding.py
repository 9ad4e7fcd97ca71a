"""Simultaneous sources and reciprocity."""

import numpy as np
import pytest
from zoo import DOT, ROUNDING, error, random, world

import seisops as so
from seisops import checks


@pytest.fixture(scope="module")
def survey():
    """Four shots that share their receivers."""
    w = world("2d")
    rng = np.random.default_rng(4)
    src = so.Geometry([w.points(rng, 1, n)[0] for n in (1, 2, 1, 1)], dt=2.0, t=w.t)
    rec = so.Geometry(np.repeat(w.points(rng, 1, 3), 4, axis=0), dt=2.0, t=w.t)
    same = so.Geometry(w.points(rng, 4, 1), dt=2.0, t=w.t)
    A = so.Modeling(w.model, rec)
    F = so.Projection(w.model, rec) @ A @ so.Projection(w.model, same).H
    ragged = so.Projection(w.model, rec) @ A @ so.Projection(w.model, src).H
    return F, ragged


W = so.Encoding([[1.0, -2.0, 0.5, 1.0], [0.0, 1.0, 1.0, -1.0]])


def test_it_is_what_it_says(survey, counted):
    for F in survey:
        q = random(F.dims)
        expected = W.records(F) @ (F @ q)
        encoded = W @ F
        assert encoded.nsrc == 2
        assert error(encoded @ (W.sources(F) @ q), expected) <= ROUNDING
        assert counted(lambda E=encoded, q=q, F=F: E @ (W.sources(F) @ q), shots=2) == 1


def test_a_scaled_operator_and_a_sum(survey):
    F, _ = survey
    q = random(F.dims)
    for op in (3 * F, F + 2 * F):
        encoded = W @ op
        assert error(encoded @ (W.sources(F) @ q), W.records(F) @ (op @ q)) <= ROUNDING


def test_adjoints(survey):
    for F in survey:
        for op in (W @ F, W.sources(F), W.records(F), (W @ F).jacobian(W.sources(F) @ random(F.dims))):
            assert checks.dot_test(op, verbose=False) <= DOT["float64"]
    F, _ = survey
    assert (W.sources(F) @ random(F.dims)).shape == (2, 4, F.dims[-1])
    assert (W.records(F) @ random(F.dimsd)).shape == (2, 3, F.dimsd[-1])


def test_the_gradient_of_encoded_shots(survey):
    F, _ = survey
    q, dm = random(F.dims), world("2d").dm
    J = (W @ F).jacobian(W.sources(F) @ q)
    assert error(J @ dm, W.records(F) @ (F.jacobian(q) @ dm)) <= ROUNDING


def test_random_signs_cancel_on_average():
    rng = np.random.default_rng(0)
    mean = np.mean([(w := so.Encoding.random(2, 5, rng).weights).T @ w for _ in range(4000)], axis=0)
    # The standard error of 4000 draws is 0.011.
    assert np.abs(mean - np.eye(5)).max() < 0.05


def test_reciprocity():
    v = np.random.default_rng(3).uniform(1.5, 2.5, (41, 31))
    model = so.Model(v=v, spacing=10.0, dtype="float64")
    x = np.random.default_rng(4).uniform(60.0, 240.0, (4, 2))
    src = so.Geometry(x[:3, None], dt=2.0, t=800.0)
    rec = so.Geometry([[x[3], x[0] + 20.0]] * 3, dt=2.0, t=800.0)
    other_src, other_rec = so.reciprocal(src, rec)
    assert (other_src.nsrc, other_rec.shape) == (2, (2, 3, 401))

    def recorded(src, rec):
        F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
        return F @ so.ricker(src, 0.01, dtype="float64")

    assert error(recorded(other_src, other_rec), recorded(src, rec).transpose(1, 0, 2)) <= DOT["float64"]
    assert repr(so.reciprocal(other_src, other_rec)) == repr((src, rec))


def test_refusals():
    w = world("2d")
    with pytest.raises(ValueError, match=r"axes \(encoded shot, shot\), got \(3,\)"):
        so.Encoding([1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        so.Encoding([[np.nan]])
    with pytest.raises(ValueError, match="weights are for 4 shots"):
        _ = W @ w.F
    with pytest.raises(ValueError, match="Shots 0 and 1 have different receivers"):
        _ = so.Encoding([[1, 1]]) @ w.F
    with pytest.raises(ValueError, match=r"Shots of Pr @ A @ Ps.H are encoded, not of"):
        _ = so.Encoding([[1, 1]]) @ w.E
    with pytest.raises(ValueError, match="have \\[2\\] points"):
        so.reciprocal(w.fine, w.rec)
    with pytest.raises(ValueError, match="same receivers for every shot"):
        so.reciprocal(w.src, w.rec)


def test_one_shot_without_its_axis(survey):
    F, _ = survey
    one = so.Encoding([[2.0]])
    for encode in (lambda W, F: W @ F, lambda W, F: W.records(F), lambda W, F: W.sources(F)):
        with pytest.raises(ValueError, match=r"one shot without a shot axis: select it as op\[\[i\]\], not op\[i\]"):
            encode(one, F[0])
    q = random(F.dims)
    given = one.records(F[[1]]) @ (F @ q)[[1]]
    assert given.shape == (1, 3, F.dimsd[-1])
    assert error((one @ F[[1]]) @ (one.sources(F[[1]]) @ q[[1]]), given) <= ROUNDING


def test_records_of_different_receivers_are_not_added():
    w = world("2d")
    ragged = so.Projection(w.model, w.ragged) @ w.A @ w.Ps.H
    for F in (w.F, ragged):
        with pytest.raises(ValueError, match="Shots 0 and 1 have different receivers"):
            so.Encoding([[1.0, 1.0]]).records(F)


def test_interpolations_are_kept(survey):
    """Each end its own: whichever is taken from the other would be wrong by a tenth."""
    F, _ = survey
    w = world("2d")
    rec, src = F.factors[0].geometry, F.factors[-1].op.geometry
    for left, right in (("linear", "sinc"), ("sinc", "linear"), ("linear", "linear")):
        Pr = so.Projection(w.model, rec, interpolation=left)
        Ps = so.Projection(w.model, src, interpolation=right)
        op = Pr @ so.Modeling(w.model, rec) @ Ps.H
        q = random(op.dims)
        assert error(op @ q, F @ q) > 1e-3
        assert error((W @ op) @ (W.sources(op) @ q), W.records(op) @ (op @ q)) <= ROUNDING


def test_encoding_and_reciprocity_keep_the_recording_time():
    # A time that is no multiple of a sampling, and a step at which one step more or less shows.
    model = so.Model(v=np.full((21, 21), 2.0), spacing=10, dt=0.7, dtype="float64")
    src = so.Geometry([[[55.5, 44.4]], [[66.6, 77.7]]], dt=0.7, t=120.0)
    rec = so.Geometry([[[51.5, 41.4], [88.8, 99.9]]] * 2, dt=0.7, t=120.0)

    def F(src, rec):
        return so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H

    W = so.Encoding(np.array([[1.0, -2.0]]))
    q = np.random.default_rng(0).standard_normal(F(src, rec).dims)
    assert (
        error((W @ F(src, rec)) @ (W.sources(F(src, rec)) @ q), W.records(F(src, rec)) @ (F(src, rec) @ q)) <= ROUNDING
    )
    exchanged = so.reciprocal(src, rec)
    assert [g.t for g in exchanged] == [120.0, 120.0]
