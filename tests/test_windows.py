"""Apertures: every shot on its part of the model, exactly adjoint, with exact derivatives."""

import pickle
from functools import cache

import numpy as np
import pylops
import pytest
from zoo import DOT, KINDS, NAMES, ROUNDING, SLOPE, ZOO, Elsewhere, World, error, foreign, operator, random, world

import seisops as so
from seisops import checks
from seisops.bridge.parameters import parameters_of
from seisops.imaging.aperture import Aperture, projections

# Wider than the surveys of a shot, so that all of its points are within the window of any two of them.
BUFFER = 110.0
ALL = 1e5


class Wide(World):
    """A model four times as wide as deep, with a shot at either end."""

    def points(self, rng, nsrc, npoint):
        low, high = np.array(self.model.extent).T
        x = rng.uniform([0.02, 0.05], [0.15, 0.95], (nsrc, npoint, 2))
        x[1:, :, 0] += 0.83
        return low + x * (high - low)


@cache
def wide_world() -> Wide:
    # Long enough for waves to come back from where a part ends.
    return Wide(**KINDS["2d"] | {"shape": (80, 21), "t": 240.0})


@pytest.fixture(scope="module")
def wide() -> Wide:
    return wide_world()


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
    whole = OPERATORS[name](wide, lambda op: so.aperture(op, ALL))
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


# ---------------------------------------------------------------------- the registry


def entry(name, world):
    """An operator of the registry, or its adjoint, in a world."""
    return ZOO[name](world) if name in ZOO else entry(name[1:-3], world).H


# What has no sources or receivers, is a wavefield, one shot alone or a stack, or adds up shots on its way.
WITHOUT = ("Pw A Pw.H", "Jh Jh.H", "F[1]", "Stack", "BlockDiag", "VStack", "HStack")


def bounded(name: str) -> bool:
    """Whether an aperture takes an entry."""
    op = operator(name)
    points = any(True for _ in projections(op))
    return (
        {op.takes, op.gives} <= {"data", "grid"}
        and points
        and not foreign(name)
        and not any(part in name for part in WITHOUT)
    )


LIMITED = [name for name in NAMES if bounded(name)]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LIMITED])
def test_what_is_not_limited_is_refused_in_words(name):
    op = operator(name)
    with pytest.raises((ValueError, TypeError), match=r"aperture|what a shot is|shot axis|no sources or|Cannot select"):
        so.aperture(op, ALL) @ random(op.dims)


def test_most_of_the_registry_is_limited():
    assert len(LIMITED) > 70
    assert {"P F", "F configured", "F + 2 F configured", "F + F2 within 60 m", "(J of F within 60 m).H"} <= {*LIMITED}


@pytest.mark.parametrize("name", LIMITED)
def test_an_aperture_of_all_is_the_operator(name):
    op = operator(name)
    whole = so.aperture(op, ALL)
    x, y = random(op.dims), random(op.dimsd, 1)
    assert error(whole @ x, op @ x) <= ROUNDING
    assert error(whole.H @ y, op.H @ y) <= ROUNDING
    if not depends_on_m(op):
        return
    J, expected = whole.jacobian(x), op.jacobian(x)
    assert error(J @ world("2d").dm, expected @ world("2d").dm) <= ROUNDING
    assert error(J.H @ y, expected.H @ y) <= ROUNDING


def depends_on_m(op) -> bool:
    return so.algebra.derivative(op, None, random(op.dims), parameters_of(op)) is not None


# The sources of an encoded shot stand all over the model.
@pytest.mark.parametrize("name", [name for name in LIMITED if "encoded" not in name])
def test_a_shot_of_an_aperture_is_the_operator_of_its_part(wide, name):
    op = so.aperture(entry(name, wide), BUFFER)
    x, y = random(op.dims), random(op.dimsd, 1)
    for i in range(2):
        window = op.window(i)
        assert window.model.shape < wide.model.shape
        part = entry(name, wide.part(i, window))
        given = op.taken(i, x)
        assert error(op.part(i) @ given, part @ given) <= ROUNDING
        assert error(op.part(i).H @ op.H.taken(i, y), part.H @ op.H.taken(i, y)) <= ROUNDING
    assert checks.dot_test(op, verbose=False) <= DOT["float64"]


def test_what_does_not_say_what_it_is_on_a_part_is_refused(wide):
    class Scaled(so.algebra.SeismicOperator):
        """Depends on the model, and knows nothing of parts."""

        takes = gives = "data"

        def __getitem__(self, index):
            return Scaled(wide.F[index].dimsd, wide.F[index].dimsd, np.float64, self.model)

        def shots_in(self, x, index):
            return x[index]

        def _forward(self, x):
            return self.model.m.mean() * x

        _transposed = _forward

        def _at(self, model):
            return Scaled(self.dims, self.dimsd, np.float64, model)

        def derivative(self, this, tail, x, wrt):
            raise NotImplementedError

    op = Scaled(wide.F.dimsd, wide.F.dimsd, np.float64, wide.model) @ wide.F
    with pytest.raises(NotImplementedError, match=r"Scaled.*does not say what it is on a part of its model"):
        so.aperture(op, BUFFER) @ wide.q
    D = pylops.Identity(wide.F.dimsd, dtype="float64")
    with pytest.raises(TypeError, match=r"Identity.* does not say what a shot is"):
        so.aperture(wide.F + D @ wide.F, BUFFER) @ wide.q
    with pytest.raises(ValueError, match="surveys of different shots"):
        so.aperture(wide.F + pylops.BlockDiag([wide.F[[0]], wide.F[[1]]]), BUFFER)


def test_nested_apertures(wide):
    """Each of them restricts the shots: the narrower one counts, whichever stands outside."""
    narrow, outer = so.aperture(wide.F, 0.0), so.aperture(so.aperture(wide.F, BUFFER), 0.0)
    inner = so.aperture(so.aperture(wide.F, 0.0), BUFFER)
    for op in (outer, inner):
        assert error(op @ wide.q, narrow @ wide.q) <= ROUNDING
        assert error(op.jacobian(wide.q) @ wide.dm, narrow.jacobian(wide.q) @ wide.dm) <= ROUNDING
        assert error(op.jacobian(wide.q).H @ wide.d, narrow.jacobian(wide.q).H @ wide.d) <= ROUNDING
    assert error(narrow @ wide.q, so.aperture(wide.F, BUFFER) @ wide.q) > 1e-6
    both = so.aperture(wide.F + wide.F.configured(reproducible=True), 0.0)
    assert error(both @ wide.q, 2 * (narrow @ wide.q)) <= ROUNDING
    assert error(both.jacobian(wide.q) @ wide.dm, 2 * (narrow.jacobian(wide.q) @ wide.dm)) <= ROUNDING


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


def test_operators_keep_models_of_their_own(wide):
    F, other = wide.F, wide.F.at(m=1.2 * wide.model.m)
    whole = so.aperture(F + other, ALL)
    assert error(whole @ wide.q, F @ wide.q + other @ wide.q) <= ROUNDING
    d = limited(F) @ wide.q
    assert error(limited(F + other) @ wide.q, d + limited(other) @ wide.q) <= ROUNDING
    assert error(limited(other.H @ F) @ wide.q, limited(other).H @ d) <= ROUNDING


def test_ragged_surveys(wide):
    rec = so.Geometry([wide.rec.positions[0], wide.rec.positions[1][:2]], dt=2.0, t=wide.t)
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
        so.aperture(wide.F @ wide.N, BUFFER)
    F = so.aperture(wide.F, BUFFER)
    with pytest.raises(NotImplementedError, match="Put the whole product under one aperture"):
        (F.H @ F).jacobian(wide.q)
    assert isinstance(F.jacobian(wide.q), Aperture)


def test_objectives_of_an_aperture_that_adds_shots_up():
    w = world("2d")
    image = 0.5 * np.asarray(w.J.H @ w.d)
    whole = so.aperture(w.J.H, ALL)
    for f in (so.fwi, lambda op, d, image: so.lsrtm(op, image, d)):
        expected, given = f(w.J.H, w.d, image), f(whole, w.d, image)
        assert given[0] == pytest.approx(expected[0])
        assert error(given[1], expected[1]) <= ROUNDING


def test_memory_of_an_aperture(wide):
    J = wide.F.jacobian(wide.q)
    whole, part = J.memory(verbose=False), so.aperture(J, BUFFER).memory(verbose=False)
    all_of_it = so.aperture(J, ALL).memory(verbose=False)
    assert all_of_it.background == whole.background > 0
    assert all_of_it.marching == whole.marching > 0
    # Windows of 32 of 80 cells, with layers of 10 on either side.
    assert part.background == pytest.approx(whole.background * 52 / 100)
    window = World(**KINDS["2d"] | {"shape": (32, 21), "t": 240.0})
    assert part.marching == window.F.jacobian(window.q).memory(verbose=False).marching > 0
    assert so.aperture(J, BUFFER).H.memory(verbose=False).background == part.background
    made = so.aperture(wide.F, BUFFER).jacobian(wide.q).memory(verbose=False)
    assert (made.background, made.marching) == (part.background, part.marching)
    assert "backgrounds of 2 shots" in part.table
    assert so.aperture(wide.F, BUFFER).memory(verbose=False).background == 0


def test_complex_apertures(wide):
    C = (1 + 2j) * wide.F
    op = so.aperture(C, 0.0)
    narrow = so.aperture(wide.F, 0.0)
    for given, expected in ((op, 1 + 2j), (op.conj(), 1 - 2j), (so.aperture(C.conj(), 0.0), 1 - 2j)):
        y = given @ wide.q
        assert np.abs(y - expected * (narrow @ wide.q)).max() <= ROUNDING * np.abs(y).max()
    assert op.conj().slices == op.slices
    mixed = so.aperture(wide.F + 1j * wide.F2, 0.0)
    y, d = mixed.conj() @ wide.q, random(mixed.dimsd)
    assert np.abs(y - np.conj(mixed @ wide.q)).max() <= ROUNDING * np.abs(y).max()
    x = mixed.T @ d
    assert np.abs(x - np.conj(mixed.H @ d)).max() <= ROUNDING * np.abs(x).max()
    J = mixed.jacobian(wide.q)
    y = J.conj() @ wide.dm
    assert np.abs(y - np.conj(J @ wide.dm)).max() <= ROUNDING * np.abs(y).max()


def test_gradients_of_an_aperture_in_other_processes(wide):
    """Each process has its shot of the records alone."""
    op = so.aperture(wide.F, BUFFER)
    here = op.linearize(wide.q).pull(wide.d)
    with so.config(executor=Elsewhere()):
        there = op.linearize(wide.q).pull(wide.d)
    for a, b in zip(here, there, strict=True):
        assert error(b, a) <= ROUNDING


def test_one_shot_without_its_axis(wide):
    limited_F = limited(wide.F)
    assert error(limited_F[1] @ wide.q[1], (limited_F @ wide.q)[1]) <= ROUNDING


def test_a_background_of_the_whole_model_is_refused(wide):
    S = so.Scattering(wide.model, wide.rec, wide.A @ wide.Ps.H, wide.q)
    op = S.jacobian(random(S.dims))
    with pytest.raises(NotImplementedError, match="a wavefield of the whole model for its background"):
        _ = so.aperture(op, BUFFER) @ random(op.dims)
