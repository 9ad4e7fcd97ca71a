"""Apertures: every shot on its part of the model, exactly adjoint, with exact derivatives."""

import pickle

import numpy as np
import pytest
from zoo import DOT, ROUNDING, SLOPE, error, random, world

import seisops as so
from seisops import checks
from seisops.windows import Limited

BUFFER = 100.0


class Wide:
    """A model four times as wide as deep, with a shot at either end."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.model = so.Model(v=rng.uniform(1.5, 2.5, (80, 21)), spacing=(10.0, 12.0), dtype="float64")
        low, high = np.array([[20.0, 20.0], [200.0, 220.0]])
        shift = np.array([[0.0, 0.0], [560.0, 0.0]])[:, None]
        self.src = so.Geometry(rng.uniform(low, high, (2, 1, 2)) + shift, dt=2.0, t=120.0)
        self.rec = so.Geometry(rng.uniform(low, high, (2, 3, 2)) + shift, dt=3.0, t=120.0)
        self.Pr, self.Ps = so.Projection(self.model, self.rec), so.Projection(self.model, self.src)
        self.A = so.Modeling(self.model, self.rec)
        self.Pw = so.LRWF(self.model, self.rec, rng.standard_normal((2, self.rec.nt)))
        self.F, self.E = self.Pr @ self.A @ self.Ps.H, self.Pr @ self.A @ self.Pw.H
        self.q, self.w = random(self.F.dims), random(self.E.dims)
        self.d, self.dm = random(self.F.dimsd), self.model.m * rng.uniform(-0.1, 0.1, self.model.shape)


@pytest.fixture(scope="module")
def wide() -> Wide:
    return Wide()


def limited(op):
    return so.aperture(op, BUFFER)


OPERATORS = {
    "F": lambda w, limit: limit(w.F),
    "F.H": lambda w, limit: limit(w.F.H),
    "E": lambda w, limit: limit(w.E),
    "E.H": lambda w, limit: limit(w.E).H,
    "J of F": lambda w, limit: limit(w.F).jacobian(w.q),
    "aperture of J": lambda w, limit: limit(w.F.jacobian(w.q)),
    "images by offset": lambda w, limit: limit(so.imaging.subsurface_offsets(w.F.jacobian(w.q), 2)),
    "inverse scattering": lambda w, limit: limit(so.imaging.inverse_scattering(w.F.jacobian(w.q))),
    "complement": lambda w, limit: limit(so.imaging.complement(w.F.jacobian(w.q))),
    "J of E": lambda w, limit: limit(w.E).jacobian(w.w),
    "J of F.H": lambda w, limit: limit(w.F).H.jacobian(w.d),
    "J of J": lambda w, limit: limit(w.F).jacobian(w.q).jacobian(w.dm),
    "J of J.H": lambda w, limit: limit(w.F).jacobian(w.q).H.jacobian(w.d),
    "J of F.H F": lambda w, limit: limit(w.F.H @ w.F).jacobian(w.q),
    "J of F + 2 F": lambda w, limit: limit(w.F + 2 * w.F).jacobian(w.q),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_laws(wide, name):
    op = OPERATORS[name](wide, limited)
    assert checks.dot_test(op, verbose=False) <= DOT["float64"]
    assert checks.linearity(op, verbose=False) <= ROUNDING
    x = random(op.dims)
    assert error(op.H.H @ x, op @ x) <= ROUNDING
    assert np.array_equal(pickle.loads(pickle.dumps(op)) @ x, op @ x)
    assert repr(op).startswith("aperture(")
    with so.no_fusion():
        assert error(OPERATORS[name](wide, limited) @ x, op @ x) <= ROUNDING


@pytest.mark.parametrize("name", OPERATORS)
def test_of_the_whole_model_it_is_the_operator(wide, name):
    whole = OPERATORS[name](wide, lambda op: so.aperture(op, 1e4))
    x = random(whole.dims)
    assert error(whole @ x, OPERATORS[name](wide, lambda op: op) @ x) <= ROUNDING


def test_a_shot_is_the_operator_of_its_part(wide):
    F = so.aperture(wide.F, BUFFER)
    J = F.jacobian(wide.q)
    image = np.zeros(wide.model.shape)
    for i in range(2):
        x, z = F.slices[i]
        assert x.stop - x.start in (32, 48)
        assert (z.start, z.stop) == (0, 21)
        part = so.Model(
            m=wide.model.m[x, z], spacing=wide.model.spacing, origin=(10.0 * x.start, 0.0), dt=wide.model.dt,
            vmax=wide.model.vmax, dtype="float64",
        )  # fmt: skip
        by_hand = (
            so.Projection(part, wide.rec[[i]]) @ so.Modeling(part, wide.rec[[i]]) @ so.Projection(part, wide.src[[i]]).H
        )
        assert error((F @ wide.q)[[i]], by_hand @ wide.q[[i]]) <= ROUNDING
        mine = by_hand.jacobian(wide.q[[i]])
        assert error((J @ wide.dm)[[i]], mine @ wide.dm[x, z]) <= ROUNDING
        image[x, z] += mine.H @ wide.d[[i]]
    assert error(J.H @ wide.d, image) <= ROUNDING
    assert not np.any((J[[0]].H @ wide.d[[0]])[F.slices[0][0].stop :])


@pytest.mark.parametrize("name", ["F", "E", "F.H", "J of F"])
def test_derivatives(wide, name):
    op = OPERATORS[name](wide, limited)
    x = random(op.dims)
    m = wide.model.m
    result = checks.taylor_test(lambda m: op.at(m=m) @ x, op.jacobian(x), m, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


def test_linearization(wide, counted):
    F = so.aperture(wide.F, BUFFER)
    assert counted(lambda: so.fwi(F, wide.q, wide.d)) == 2
    value, gradient = so.fwi(F, wide.q, wide.d)
    J = F.jacobian(wide.q)
    residual = F @ wide.q - wide.d
    assert value == pytest.approx(0.5 * np.sum(residual**2), rel=ROUNDING)
    assert error(gradient, J.H @ residual) <= ROUNDING
    made = F.linearize(wide.q)
    assert counted(lambda: made.pull(wide.d)) == 1
    gx, gm = made.pull(wide.d)
    assert error(gx, F.H @ wide.d) <= ROUNDING
    assert error(gm, J.H @ wide.d) <= ROUNDING
    assert counted(lambda: made.J @ wide.dm) == 1
    assert error(made.J @ wide.dm, J @ wide.dm) <= ROUNDING
    # J keeps the backgrounds of its windows.
    assert counted(lambda: (J @ wide.dm, J.H @ wide.d)) == 2


def test_shots(wide):
    for name in ("F", "E", "J of F"):
        op = OPERATORS[name](wide, limited)
        x = random(op.dims)
        assert error(op[[1]] @ op.shots_in(x, [1]), op.shots_out(op @ x, [1])) <= ROUNDING
    J = OPERATORS["J of F"](wide, limited)
    assert error(sum(J[[i]].H @ wide.d[[i]] for i in range(2)), J.H @ wide.d) <= ROUNDING


def test_in_another_model(wide):
    m = 1.03 * wide.model.m
    assert error(so.aperture(wide.F, BUFFER).at(m=m) @ wide.q, so.aperture(wide.F.at(m=m), BUFFER) @ wide.q) <= ROUNDING


def test_ragged_surveys(wide):
    rec = so.Geometry([wide.rec.positions[0], wide.rec.positions[1][:2]], dt=3.0, t=120.0)
    F = so.Projection(wide.model, rec) @ wide.A @ wide.Ps.H
    assert checks.dot_test(so.aperture(F, BUFFER), verbose=False) <= DOT["float64"]
    assert error(so.aperture(F, BUFFER) @ wide.q, rec.join([d[: len(p)] for d, p in zip(
        so.aperture(wide.F, BUFFER) @ wide.q, rec.positions, strict=True)])) <= ROUNDING  # fmt: skip


def test_in_a_product(wide):
    F = so.aperture(wide.F, BUFFER)
    assert error((F.H @ F) @ wide.q, F.H @ (F @ wide.q)) <= ROUNDING
    assert error((2 * F).jacobian(wide.q) @ wide.dm, 2 * (F.jacobian(wide.q) @ wide.dm)) <= ROUNDING


def test_refusals(wide):
    with pytest.raises(ValueError, match=r"length of 0 m or more, got -1"):
        so.aperture(wide.F, -1)
    with pytest.raises(ValueError, match=r"A @ Ps\.H.* gives wavefields"):
        so.aperture(wide.A @ wide.Ps.H, BUFFER)
    with pytest.raises(ValueError, match="no sources or receivers"):
        so.aperture(wide.Pw @ wide.A @ wide.Pw.H, BUFFER)
    with pytest.raises(ValueError, match=r"op\[\[i\]\], not op\[i\]"):
        so.aperture(wide.F[0], BUFFER)
    with pytest.raises(ValueError, match="takes something foreign"):
        so.aperture(wide.F @ world("2d").N, BUFFER)
    F = so.aperture(wide.F, BUFFER)
    with pytest.raises(NotImplementedError, match="Put the whole product under one aperture"):
        (F.H @ F).jacobian(wide.q)
    assert isinstance(F.jacobian(wide.q), Limited)


def test_objectives_of_an_aperture_that_adds_shots_up():
    w = world("2d")
    image = 0.5 * np.asarray(w.J.H @ w.d)
    whole = so.aperture(w.J.H, 1e4)
    for f in (so.fwi, lambda op, d, image: so.lsrtm(op, image, d)):
        expected, given = f(w.J.H, w.d, image), f(whole, w.d, image)
        assert given[0] == pytest.approx(expected[0])
        assert error(given[1], expected[1]) <= ROUNDING


def test_one_shot_without_its_axis(wide):
    limited_F = limited(wide.F)
    assert error(limited_F[1] @ wide.q[1], (limited_F @ wide.q)[1]) <= ROUNDING
