"""Every medium of the library obeys every law: a registry of earths times the laws."""

import pickle
import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pylops
import pytest
from zoo import DOT, SLOPE, Elsewhere, error, media, random

import seisops as so
from seisops import checks
from seisops.physics.inlining import inlined
from seisops.physics.layer import absorbing, profile
from seisops.physics.reference import Reference
from seisops.physics.surface import applied
from seisops.propagators import footprint
from seisops.propagators.marching import Marching
from seisops.propagators.workspaces import OBJECTS, profile_values
from seisops.storage.estimate import size
from seisops.time_operator import filtered


@dataclass(frozen=True)
class Earth:
    """A random earth of a medium: the range of every parameter, and the options of its model."""

    ranges: tuple
    shape: tuple = (13, 12)
    surface: bool = False
    dtype: str = "float64"
    absorb: int = 3
    # Nodes of the last axis from the top that are water, where nothing shears.
    water: int = 0
    options: tuple = ()

    def model(self):
        rng = np.random.default_rng(1)
        parameters = {name: rng.uniform(low, high, self.shape) for name, low, high in self.ranges}
        if self.water:
            parameters["vs"][..., : self.water] = 0
        return so.Model(
            spacing=(10.0, 12.0, 11.0)[-len(self.shape) :], absorb=self.absorb, space_order=4,
            free_surface=self.surface, dtype=self.dtype, **parameters, **dict(self.options),
        )  # fmt: skip


DENSITY = Earth((("v", 1.5, 2.5), ("rho", 1.0, 2.0)))
SOLID = Earth((("vp", 1.5, 2.5), ("vs", 0.4, 1.0), ("rho", 1.0, 2.0)))
AXIAL = Earth((("v", 1.5, 2.5), ("epsilon", 0.15, 0.25), ("delta", -0.05, 0.1), ("rho", 1.0, 2.0)))
LOSSY = Earth((("v", 1.5, 2.5), ("Q", 10.0, 40.0), ("rho", 1.0, 2.0)), options=(("f_ref", 0.02), ("mechanisms", 2)))
AXIAL_SOLID = replace(
    SOLID, ranges=(*SOLID.ranges, ("epsilon", 0.05, 0.25), ("delta", -0.05, 0.1), ("gamma", -0.1, 0.1))
)
TILTED = Earth(
    (*AXIAL.ranges[:3], ("rho", 1.0, 1.5), ("theta", -40.0, 70.0), ("phi", 0.0, 0.0)), shape=(9, 8),
)  # fmt: skip
LOSSY_SOLID = replace(
    SOLID, ranges=(*SOLID.ranges, ("Qp", 20.0, 40.0), ("Qs", 15.0, 40.0)), options=(("f_ref", 0.02), ("mechanisms", 1))
)
EARTHS = {
    "density": DENSITY,
    "density, surface": replace(DENSITY, surface=True),
    "VTI": AXIAL,
    "VTI, surface": replace(AXIAL, surface=True),
    "TTI": TILTED,
    "attenuating": LOSSY,
    "attenuating, surface": replace(LOSSY, surface=True),
    "elastic": SOLID,
    "elastic, surface": replace(SOLID, surface=True),
    "water over rock": replace(SOLID, water=5),
    "elastic VTI": AXIAL_SOLID,
    "elastic VTI, surface": replace(AXIAL_SOLID, surface=True),
    "viscoelastic": replace(LOSSY_SOLID, water=5),
    "viscoelastic, surface": replace(LOSSY_SOLID, surface=True),
}
# In three dimensions kernels are slow to build: those of modelling, and of derivatives without a layer, alone.
SOLIDS_3D = {
    "density": replace(DENSITY, shape=(7, 6, 7)),
    "VTI": replace(AXIAL, shape=(7, 6, 7)),
    "TTI": replace(TILTED, ranges=(*TILTED.ranges[:5], ("phi", -90.0, 90.0)), shape=(5, 5, 5)),
    "elastic": replace(SOLID, shape=(7, 6, 7)),
    "elastic, surface": replace(SOLID, shape=(7, 6, 8), surface=True),
    "elastic VTI": replace(AXIAL_SOLID, shape=(7, 6, 7)),
    "attenuating": replace(LOSSY, shape=(7, 6, 7)),
    "viscoelastic": replace(LOSSY_SOLID, shape=(7, 6, 7)),
}
SOLIDS = ("density", "VTI", "TTI", "attenuating", "elastic", "water over rock", "elastic VTI", "viscoelastic")
# Of one medium `make test` has all laws; of a solid, whose kernels take twice as long, those the others rest on.
TWO, SHORT = ("density", "elastic"), ("density",)
every, solids, two = (media(names, SHORT) for names in (EARTHS, SOLIDS, TWO))
# Rounding of a few hundred additions in another order; kernels of one operator that differ in the tenth digit of a
# weight are 1e-12 apart.
ROUNDING = 1e-13


class World:
    """Two shots in an earth."""

    def __init__(self, earth: Earth) -> None:
        rng = np.random.default_rng(2)
        self.model = model = earth.model()
        low, high = np.array(model.extent).T
        t = 40.0 if model.ndim == 2 else 24.0
        self.src, self.rec = (
            so.Geometry(low + rng.uniform(0.08, 0.98, (2, n, model.ndim)) * (high - low), dt=2.0, t=t) for n in (1, 2)
        )
        self.A = so.Modeling(model, self.rec)
        self.F = self.modeling()
        self.q, self.d = rng.standard_normal(self.F.dims), rng.standard_normal(self.F.dimsd)
        # What has no meaning in the plane: an azimuth, and waves of shear that move across it.
        self.wrt = tuple(p for p in model.parameters if p not in ("phi", "gamma") or model.ndim == 3)
        self.dp = np.stack([0.1 * x * rng.uniform(-1, 1, model.shape) for x in self.stacked])

    def modeling(self, source="p", receiver="p", rec=None):
        """Records of one component from sources of another."""
        Pr = so.Projection(self.model, rec or self.rec, component=receiver)
        return Pr @ self.A @ so.Projection(self.model, self.src, component=source).H

    def at(self, p):
        """The parameters that are stacked in an array."""
        return dict(zip(self.wrt, p, strict=True))

    @property
    def stacked(self):
        """Its own."""
        return np.stack([self.model.parameters[p] for p in self.wrt])


@cache
def world(name: str) -> World:
    return World(EARTHS[name])


@cache
def bare(name: str) -> World:
    """Without a layer: kernels are built in a third of the time, and those of modelling and imaging have shown it."""
    return World(replace(EARTHS[name], absorb=0))


def assert_adjoint(op):
    assert checks.dot_test(op, verbose=False) <= DOT[op.dtype.name]


def assert_slopes(function, J, p, **kwargs):
    result = checks.taylor_test(function, J, p, verbose=False, **kwargs)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


def marched(w: World, s: np.ndarray, adjoint: bool) -> np.ndarray:
    """Modelling in NumPy, step by step as the scheme is written."""
    model, medium = w.model, w.model.medium
    channels = medium.channels(model.ndim)
    scheme = applied(medium.scheme(model.ndim), model.free_surface)
    scheme = absorbing(inlined(scheme, channels, channels), range(model.ndim))
    values = {}
    for c in scheme.coefficients:
        along = profile(c)
        if along is None:
            values[c] = model.coefficients[c].astype(float)
        else:
            shape = np.ones(model.ndim, int)
            shape[along[1]] = -1
            values[c] = profile_values(model, *along).reshape(shape)
    # Of an inertia M a model has dt²/M.
    values |= {f.inertia: model.dt**2 / values[f.inertia] for f in scheme.fields if f.inertia}
    numpy = Reference(
        scheme.transpose if adjoint else scheme, values, model.padded_shape, model.spacing, model.dt,
        order=model.space_order, surface=model.free_surface,
    )  # fmt: skip

    def onto(x, channel, end, transpose):
        f = medium.filters.get(channel, ((), ()))[end]
        return filtered(x, model.dt, f[::-1] if transpose else f, transpose=transpose)

    given = {c: onto(s[:, k].copy(), c, int(adjoint), adjoint) for k, c in enumerate(channels)}
    out, _ = numpy.march(given, len(s), adjoint=adjoint)
    return np.stack([onto(out[c], c, int(not adjoint), adjoint) for c in channels], axis=1)


@media(EARTHS, TWO)
@pytest.mark.parametrize("adjoint", [False, True], ids=["forward", "transpose"])
def test_the_kernel_is_the_scheme(name, adjoint):
    w = world(name)
    s = random(w.A.dims)
    expected = np.stack([marched(w, x, adjoint) for x in s])
    got = (w.A.H if adjoint else w.A) @ s
    for k, channel in enumerate(w.model.medium.channels(w.model.ndim)):
        assert error(got[:, :, k], expected[:, :, k]) <= ROUNDING, channel


@every
def test_fused_equals_unfused(name):
    w = bare(name)
    y, z = w.F @ w.q, w.F.H @ w.d
    J = w.F.jacobian(w.q, wrt=w.wrt)
    dd, image = J @ w.dp, J.H @ w.d
    with so.no_fusion():
        assert error(w.F @ w.q, y) <= ROUNDING
        assert error(w.F.H @ w.d, z) <= ROUNDING
        assert error(J @ w.dp, dd) <= ROUNDING
        assert error(J.H @ w.d, image) <= ROUNDING


COMPONENTS = {
    "p": ("p", "p"),
    "force": ("z", "x"),
    "all at once": ("p", ("p", "x", "z")),
    "from all at once": (("p", "x", "z"), "p"),
}
STRESSES = {
    "moment": ({"xx": 1.0, "zz": -1.0, "xz": 0.5}, ("x", "z")),
    "stress": ("x", {"xx": 0.5, "zz": 0.5}),
}


@pytest.mark.parametrize("components", COMPONENTS | STRESSES)
@two
def test_adjoint_of_components(name, components):
    if name != "elastic" and components in STRESSES:
        with pytest.raises(ValueError, match=r"has no component 'xz?x?'; it has .*x, z"):
            bare(name).modeling(*STRESSES[components])
        return
    w, ends = bare(name), (COMPONENTS | STRESSES)[components]
    F = w.modeling(*ends)
    assert_adjoint(F)
    assert np.linalg.norm(F @ random(F.dims)) > 0
    # Shots that are encoded share their receivers, and keep their components.
    shared = so.Geometry(np.stack([w.rec.positions[0]] * 2), dt=2.0, t=w.rec.t)
    G, W = w.modeling(*ends, rec=shared), so.Encoding([[1.0, -0.5], [0.3, 2.0]])
    q = random(G.dims)
    assert error((W @ G) @ (W.sources(G) @ q), W.records(G) @ (G @ q)) <= ROUNDING
    assert_adjoint(W.sources(G))


def test_adjoint_of_a_sampler_by_itself_that_meets_a_wavefield_twice():
    w = bare("elastic")
    Pr = so.Projection(w.model, w.rec, component=so.Strain([3.0, 1.0], gauge=15.0))
    assert_adjoint(Pr)
    assert np.linalg.norm(Pr @ random(Pr.dims)) > 0


@media(SOLIDS, TWO)
def test_adjoint(name):
    w = world(name)
    J = w.F.jacobian(w.q, wrt=w.wrt)
    assert J.dims == (len(w.wrt), *w.model.shape)
    assert_adjoint(w.F)
    assert_adjoint(J)


@solids
def test_adjoint_of_derivatives_of_adjoints_and_derivatives(name):
    w = bare(name)
    J = w.F.jacobian(w.q, wrt=w.wrt)
    for op in (w.F.H.jacobian(w.d, wrt=w.wrt), J.H.jacobian(w.d, wrt=w.wrt), J.jacobian(w.dp, wrt=w.wrt)):
        assert_adjoint(op)


@media(SOLIDS, TWO)
def test_derivatives_in_every_parameter(name):
    """Of the Jacobian in all parameters, which has one kernel, along one of them at a time."""
    w = world(name)
    others = {spelling.of: n for n, spelling in w.model.medium.spellings.items()}
    fluid = "vs" in w.wrt and not w.model.vs.all()
    for names in {w.wrt, w.wrt if fluid else tuple(others.get(p, p) for p in w.wrt)}:
        J = w.F.jacobian(w.q, wrt=names)
        x = np.stack([w.model.quantity(p) for p in names])
        for k, p in enumerate(names):
            direction = np.zeros_like(x)
            # Where nothing shears every direction but one that keeps it a fluid is worth a try.
            direction[k] = np.random.default_rng(3).uniform(-1, 1, x[k].shape) * max(np.abs(x[k]).max(), 1e-3)
            direction[k] *= 0.05 * (x[k] > 0 if p == "vs" else 1)
            if np.any(direction):
                assert_slopes(lambda x, names=names: w.F.at(**dict(zip(names, x, strict=True))) @ w.q, J, x,
                              dm=direction)  # fmt: skip


@solids
def test_derivatives_in_all_parameters_of_every_product(name):
    w = bare(name)
    for op, x in ((w.F, w.q), (w.F.H, w.d)):
        assert_slopes(lambda p, op=op, x=x: op.at(**w.at(p)) @ x, op.jacobian(x, wrt=w.wrt), w.stacked, dm=w.dp)


@two
def test_second_derivatives(name):
    w = bare(name)
    J = w.F.jacobian(w.q, wrt=w.wrt)

    def along(eps, op, x):
        return op.at(**w.at(w.stacked + eps * w.dp)).jacobian(x, wrt=w.wrt)

    # Central differences err by eps² and by rounding over eps.
    eps = 1e-4
    for curved, linear, y in ((J.H.jacobian(w.d, wrt=w.wrt), lambda J: J.H @ w.d, w.dp),
                              (J.jacobian(w.dp, wrt=w.wrt), lambda J: J @ w.dp, w.dp)):  # fmt: skip
        expected = (linear(along(eps, w.F, w.q)) - linear(along(-eps, w.F, w.q))) / (2 * eps)
        assert error(curved @ y, expected) <= 1e-6


def test_water_becomes_rock():
    """The derivative in vs where it is zero: that of a function that is flat there, and no NaN."""
    name = "water over rock"
    w = bare(name)
    J = w.F.jacobian(w.q, wrt="vs")
    image = J.H @ w.d
    assert np.isfinite(image).all()
    assert np.all(image[:, : EARTHS[name].water] == 0)
    fluid = np.zeros(w.model.shape)
    fluid[:, : EARTHS[name].water] = 0.1

    def change(eps):
        return np.linalg.norm(w.F.at(vs=w.model.vs + eps * fluid) @ w.q - w.F @ w.q)

    assert change(1e-2) / change(1e-3) == pytest.approx(100, rel=0.05)


@two
def test_linearisation_gives_both_gradients_in_the_marches_of_one(name, counted):
    w = bare(name)
    linear = []
    assert counted(lambda: linear.append(w.F.linearize(w.q, wrt=w.wrt))) == 1
    found = []
    assert counted(lambda: found.extend(linear[0].pull(w.d))) == 1
    assert error(found[0], w.F.H @ w.d) <= ROUNDING
    assert error(found[1], w.F.jacobian(w.q, wrt=w.wrt).H @ w.d) <= ROUNDING


@two
def test_inversion_in_every_parameter(name):
    w = bare(name)
    d = 0.5 * (w.F @ w.q)

    def value(p):
        return so.fwi(w.F.at(**w.at(p)), w.q, d, wrt=w.wrt)[0]

    _, gradient = so.fwi(w.F, w.q, d, wrt=w.wrt)
    assert gradient.shape == w.dp.shape
    direction = 0.05 * w.stacked * np.sign(gradient)
    assert_slopes(value, gradient, w.stacked, dm=direction)
    H = so.hessian(w.F, w.q, d, wrt=w.wrt)
    assert checks.dot_test(H, verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("storage", [so.storage.Checkpointed(1), so.storage.Disk(), so.storage.Half()], ids=repr)
@two
def test_storages(name, storage):
    w = bare(name)
    with so.config(storage=so.storage.Memory()):
        J = w.F.jacobian(w.q, wrt=w.wrt)
    with so.config(storage=storage):
        kept = w.F.jacobian(w.q, wrt=w.wrt)
    assert_adjoint(kept)
    if isinstance(storage, so.storage.Half):
        # Eight bits.
        assert error(kept @ w.dp, J @ w.dp) <= 2e-2
    else:
        assert np.array_equal(kept @ w.dp, J @ w.dp)
        assert np.array_equal(kept.H @ w.d, J.H @ w.d)
    assert str(storage).split("(")[0] in str(kept.memory(verbose=False))


@media(("density", "TTI", "elastic"), SHORT)
def test_images_by_offset(name):
    """Of every parameter, extended: at zero offset they are the images, and derivatives go on from there."""
    w = bare(name)
    J = w.F.jacobian(w.q, wrt=w.wrt)
    extended = so.imaging.subsurface_offsets(J, 2)
    assert_adjoint(extended)
    at_zero = np.zeros(extended.dims)
    at_zero[2] = w.dp
    assert error(extended @ at_zero, J @ w.dp) <= ROUNDING
    assert error((extended.H @ w.d)[2], J.H @ w.d) <= ROUNDING
    dp = random(extended.dims)
    y = extended @ dp
    with so.no_fusion():
        assert error(extended @ dp, y) <= ROUNDING
    assert error(extended[1] @ dp, y[1]) <= ROUNDING
    assert_adjoint(extended.H.jacobian(w.d, wrt=w.wrt[0]))
    assert_slopes(
        lambda p: extended.at(**{w.wrt[0]: p}).H @ w.d, extended.H.jacobian(w.d, wrt=w.wrt[0]), w.stacked[0],
        dm=w.dp[0],
    )  # fmt: skip


@every
def test_the_estimates_are_of_the_medium(name, monkeypatch):
    w, sizes, spaces = world(name), [], []
    state = Marching.state

    def counted(march):
        found = state(march)
        sizes.append(sum(x.nbytes for x in found))
        spaces.append(march.space.nbytes - OBJECTS)
        return found

    monkeypatch.setattr(Marching, "state", counted)
    with so.config(storage=so.storage.Checkpointed(1)):
        J = w.F.jacobian(w.q, wrt=w.wrt)
    _ = J.H @ w.d
    # Never less; more where a march leaves out what its ports do not meet, and on grids as small as these.
    assert sizes[0] <= footprint.state_bytes(w.model) <= 1.5 * sizes[0]
    assert spaces[0] <= footprint.workspace_bytes(w.model) <= 1.5 * spaces[0]
    estimate = J.memory(verbose=False)
    assert estimate.background == 2 * 2 * footprint.state_bytes(w.model)
    assert re.search(rf"\* Checkpointed\(1 states\) +{re.escape(size(estimate.background))}\n", str(estimate))
    # All that is kept of a step.
    whole = 2 * w.A.nt * len(J.factors[-2].op.condition.kept) * np.prod(w.model.padded_shape) * 8
    assert re.search(rf"Memory\(\) +{re.escape(size(whole))}\n", str(estimate))


@two
def test_surveys_of_a_medium(name):
    """Shots, encoding, apertures, extended sources, stacks and other processes."""
    w = bare(name)
    J = w.F.jacobian(w.q, wrt=w.wrt)
    assert error(w.F[1] @ w.q[1], (w.F @ w.q)[1]) <= ROUNDING
    assert error(J[0] @ w.dp, (J @ w.dp)[0]) <= ROUNDING
    spread = so.Geometry(np.stack([w.rec.positions[0]] * 2), dt=2.0, t=w.rec.t)
    G = so.modeling(w.model, w.src, spread)
    W, shots = so.Encoding([[1.0, -0.5]]), G @ w.q
    assert error((W @ G) @ (W.sources(G) @ w.q), (shots[0] - 0.5 * shots[1])[None]) <= ROUNDING
    whole = so.aperture(w.F, 1000.0)
    assert error(whole @ w.q, w.F @ w.q) <= ROUNDING
    assert error(whole.jacobian(w.q, wrt=w.wrt).H @ w.d, J.H @ w.d) <= ROUNDING
    E = so.Projection(w.model, w.rec) @ w.A @ so.LRWF(w.model, w.rec, random(w.rec.nt)).H
    assert_adjoint(E)
    assert_adjoint(E.jacobian(random(E.dims), wrt=w.wrt[0]))
    both = so.Jacobian(pylops.VStack([w.F, w.F]), w.q, wrt=w.wrt)
    assert error(np.ravel(both @ w.dp), np.ravel([J @ w.dp] * 2)) <= ROUNDING
    with so.config(executor=Elsewhere()):
        assert error(J.H @ w.d, J.H @ w.d) <= ROUNDING
        pulled = w.F.linearize(w.q, w.wrt).pull(w.F @ w.q - w.d)[1]
        assert error(so.fwi(w.F, w.q, w.d, wrt=w.wrt)[1], pulled) <= ROUNDING
    again = pickle.loads(pickle.dumps(J))
    assert error(again @ w.dp, J @ w.dp) <= ROUNDING


@media(SOLIDS_3D)
def test_adjoint_in_3d(name):
    w = World(SOLIDS_3D[name])
    assert_adjoint(w.F)
    y = w.F @ w.q
    assert np.linalg.norm(y) > 0
    # With a margin to the layer whole wavefields are too large here.
    if not w.model.margin:
        with so.no_fusion():
            assert error(w.F @ w.q, y) <= ROUNDING


@media(SOLIDS_3D)
def test_derivatives_in_3d(name):
    w = World(replace(SOLIDS_3D[name], absorb=0))
    J = w.F.jacobian(w.q, wrt=w.wrt)
    assert_adjoint(J)
    assert_slopes(lambda p: w.F.at(**w.at(p)) @ w.q, J, w.stacked, dm=w.dp)


@media(SOLIDS_3D)
def test_derivatives_in_3d_with_a_layer(name):
    w = World(SOLIDS_3D[name])
    J = w.F.jacobian(w.q, wrt=w.wrt)
    assert_adjoint(J)
    assert_slopes(lambda p: w.F.at(**w.at(p)) @ w.q, J, w.stacked, dm=w.dp)


@two
def test_adjoint_in_single_precision(name):
    w = World(replace(EARTHS[name], dtype="float32", absorb=0))
    assert_adjoint(w.F)
    assert_adjoint(w.F.jacobian(w.q, wrt=w.wrt))
