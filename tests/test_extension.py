"""A medium, a storage, an imaging condition, a misfit, a sampler of one's own: a class each, outside of the package.

Nothing below is known to the library, and all laws hold for it.
"""

import pickle
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
import pytest
from pylops import Diagonal
from zoo import DOT, ROUNDING, SLOPE, error, random, shortened

import seisops as so
from seisops import checks
from seisops.operators.survey_operator import Collected, SurveyOperator, wavefield_shape
from seisops.physics import Medium, Parameter, reference
from seisops.physics.layer import absorbing, profile
from seisops.physics.medium import leapfrog_step
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import weights
from seisops.physics.steps import Receiver, Source, Stage
from seisops.physics.terms import Difference, Field, Times
from seisops.propagators.couplings import LowRank, Scattering, Wavefield
from seisops.propagators.marching import Term
from seisops.propagators.workspaces import profile_values
from seisops.storage import History, Memory, Storage

SHAPE, SPACING, T = (25, 21), (10.0, 12.0), 90.0


# ---------------------------------------------------------------------- a medium


@dataclass(frozen=True)
class WithDensity(Medium):
    r"""Sound with a density: :math:`m\,\ddot u - \nabla\cdot(b\,\nabla u) = s`."""

    parameters: ClassVar = {"m": Parameter("compressibility", "s²/km²"), "b": Parameter("buoyancy", "cm³/g")}
    coefficients: ClassVar = {"m": "m", "b": "b"}
    speed: ClassVar = "sqrt(b/m)"

    def scheme(self, ndim):
        u = Field("u", (0,) * ndim, inertia="m")
        terms = sum(Difference(a, shift=-1)(Times("b")(Difference(a, shift=1)(u.value))) for a in range(ndim)).terms
        return Scheme((u,), (Stage("u", terms), Source("p", "u"), Receiver("p", "u")))

    def stable_step(self, spacing, order):
        largest = sum(abs(w) for w in weights(Difference(0, shift=1), order)[1]) ** 2
        return 2 / sqrt(sum(largest / d**2 for d in spacing))


@dataclass(frozen=True)
class Relaxing(Medium):
    r"""Sound that hardens while it is strained: a memory r of its own stands beside the wavefield."""

    parameters: ClassVar = {"m": Parameter("squared slowness", "s²/km²"), "g": Parameter("hardening", "1")}
    coefficients: ClassVar = {"m": "m", "g": "g/10", "decay": "exp(-g)"}
    speed: ClassVar = "sqrt((1 + g)/m)"

    def scheme(self, ndim):
        u, r = Field("u", (0,) * ndim, inertia="m"), Field("r", (0,) * ndim)
        laplacian = sum(Difference(a, degree=2)(u.value) for a in range(ndim))
        memory = Stage("r", Times("g")(laplacian).terms, keep="decay")
        return Scheme((u, r), (memory, Stage("u", (laplacian + r.value).terms), Source("p", "u"), Receiver("p", "u")))

    def stable_step(self, spacing, order):
        return leapfrog_step(spacing, order)


@dataclass(frozen=True)
class Skew(Relaxing):
    r"""Sound that is coupled across its axes: layers of both meet in a memory of one that the other reads."""

    coefficients: ClassVar = {"m": "m", "c": "g/4"}
    speed: ClassVar = "sqrt(1.5/m)"

    def scheme(self, ndim):
        u = Field("u", (0,) * ndim, inertia="m")
        total = sum(Difference(a, degree=2)(u.value) for a in range(ndim))
        for a, b in ((0, 1), (1, 0)):
            total = total + Difference(a)(Times("c")(Difference(b)(u.value)))
        return Scheme((u,), (Stage("u", total.terms), Source("p", "u"), Receiver("p", "u")))


MEDIA = {"with density": (WithDensity(), "b"), "relaxing": (Relaxing(), "g"), "skew": (Skew(), "g")}


class World:
    """Two shots in a random earth of a medium."""

    def __init__(self, medium=None, other=None, dtype="float64", shape=SHAPE, absorb=4):
        rng = np.random.default_rng(1)
        parameters = {"m": rng.uniform(0.2, 0.4, shape)} | ({other: rng.uniform(0.9, 1.0, shape)} if other else {})
        spacing = (*SPACING, 11.0)[: len(shape)]
        # Sound has the kernels of all other tests.
        small = {"space_order": 4, "absorb": absorb} if other else {}
        self.model = so.Model(physics=medium, spacing=spacing, dtype=dtype, **small, **parameters)
        low, high = np.array(self.model.extent).T
        self.src, self.rec = (
            so.Geometry(low + rng.uniform(0.02, 0.98, (2, n, len(shape))) * (high - low), dt=2.0, t=T) for n in (1, 3)
        )
        self.Pr, self.Ps = so.Projection(self.model, self.rec), so.Projection(self.model, self.src)
        self.A = so.Modeling(self.model, self.rec)
        self.F = self.Pr @ self.A @ self.Ps.H
        self.q, self.d = rng.standard_normal(self.F.dims), rng.standard_normal(self.F.dimsd)
        self.dm = self.model.m * rng.uniform(-0.1, 0.1, shape)


def assert_laws(op):
    """Those that any operator obeys."""
    dtype = op.dtype.name
    assert checks.dot_test(op, verbose=False) <= DOT[dtype]
    if dtype == "float64":
        assert checks.linearity(op, verbose=False) <= ROUNDING
    x, again = random(op.dims), pickle.loads(pickle.dumps(op))
    y = op @ x
    assert np.array_equal(again @ x, y)
    assert np.linalg.norm(y) > 0
    with so.no_fusion():
        assert error(op @ x, y) <= DOT[dtype]


def assert_derivative(op, x):
    result = checks.taylor_test(lambda m: op.at(m=m) @ x, op.jacobian(x), op.model.m, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


every = pytest.mark.parametrize("name", MEDIA)
OPERATORS = {
    "F": lambda w: w.F,
    "J": lambda w: w.F.jacobian(w.q),
    "J of F.H": lambda w: w.F.H.jacobian(w.d),
    "E": lambda w: w.Pr @ w.A @ so.LRWF(w.model, w.rec, random(w.rec.nt)).H,
    "A": lambda w: w.A,
}


OF_TWO = [*(("with density", op) for op in OPERATORS), ("relaxing", "F"), ("relaxing", "J")]


@pytest.mark.parametrize("name, operator", shortened(OF_TWO, [("with density", "F"), ("relaxing", "J")]))
def test_laws_of_a_medium(name, operator):
    # Kernels without a layer are built in a third of the time.
    assert_laws(OPERATORS[operator](World(*MEDIA[name], absorb=4 if operator in ("F", "J") else 0)))


@pytest.mark.long
def test_laws_of_a_medium_in_single_precision():
    assert_laws(World(*MEDIA["with density"], dtype="float32").F)


def test_a_medium_in_3d():
    w = World(*MEDIA["with density"], shape=(7, 6, 7))
    assert checks.dot_test(w.F, verbose=False) <= DOT["float64"]


@every
def test_derivatives_of_a_medium(name):
    w = World(*MEDIA[name], absorb=0)
    assert_derivative(w.F, w.q)
    assert_derivative(w.F.H, w.d)
    assert_derivative(w.F.jacobian(w.q), w.dm)


@every
@pytest.mark.parametrize("adjoint", [False, True])
def test_the_kernel_of_a_medium_is_its_scheme(name, adjoint):
    """Step by step as it is written, in NumPy."""
    w = World(*MEDIA[name])
    model, medium = w.model, w.model.medium
    scheme = absorbing(medium.scheme(2), (0, 1))
    padded = {p: model.pad(x) for p, x in model.parameters.items()}
    values = {}
    for c in scheme.coefficients:
        along = profile(c)
        if along is None:
            values[c] = medium.evaluate(medium.coefficients[c], padded)
        else:
            values[c] = np.expand_dims(profile_values(model, *along), 1 - along[1])
    marched = scheme.transpose if adjoint else scheme
    oracle = reference.Reference(marched, values, model.padded_shape, SPACING, model.dt, order=model.space_order)
    s = random(w.A.dims)
    expected = [oracle.march({"p": x}, w.A.nt, adjoint=adjoint)[0]["p"] for x in s]
    assert error((w.A.H if adjoint else w.A) @ s, expected) <= ROUNDING


@every
def test_a_change_of_every_parameter_is_seen(name):
    w = World(*MEDIA[name])
    for p, x in w.model.parameters.items():
        model = w.model.at(**{p: 0.95 * x if p != "m" else 1.05 * x})
        F = so.Projection(model, w.rec) @ so.Modeling(model, w.rec) @ so.Projection(model, w.src).H
        assert error(F @ w.q, w.F @ w.q) > 1e-3


# ---------------------------------------------------------------------- a storage


@dataclass(frozen=True)
class Compact(Storage):
    """Every block as bytes of its own, packed."""

    def history(self, wave):
        return Blocks()

    def nbytes(self, wave):
        return wave.nbytes


class Blocks(History):
    def __init__(self):
        self.blocks = {}

    def write(self, start, stop, g):
        self.blocks[start] = np.ascontiguousarray(g).tobytes()

    def read(self, start, stop, out):
        out[...] = np.frombuffer(self.blocks[start], out.dtype).reshape(out.shape)


def test_laws_of_a_storage():
    w = World()
    with so.config(storage=Memory()):
        kept = w.F.jacobian(w.q)
    with so.config(storage=Compact()):
        J = w.F.jacobian(w.q)
        value, gradient = so.fwi(w.F, w.q, w.d)
    assert_laws(J)
    assert np.array_equal(J @ w.dm, kept @ w.dm)
    assert np.array_equal(J.H @ w.d, kept.H @ w.d)
    assert "Compact" in str(J.memory())
    with so.config(storage=Memory()):
        expected = so.fwi(w.F, w.q, w.d)
    assert value == expected[0]
    assert np.array_equal(gradient, expected[1])


def test_a_storage_and_a_history_say_all_that_is_asked():
    class Half(Storage):
        def nbytes(self, wave):
            return 0

    class WriteOnly(History):
        def write(self, start, stop, g):
            pass

    with pytest.raises(TypeError, match="abstract"):
        Half()
    with pytest.raises(TypeError, match="abstract"):
        WriteOnly()


# ---------------------------------------------------------------------- an imaging condition


@dataclass(frozen=True)
class Doubled(Scattering):
    """Twice of what the background and the wavefield have in common."""

    def source(self, f, port):
        return doubled(super().source(f, port))

    def measure(self, f, port, h):
        return doubled(super().measure(f, port, h))


def doubled(equations):
    return {port: [step.func(step.lhs, 2 * step.rhs) for step in steps] for port, steps in equations.items()}


@dataclass(frozen=True)
class TwiceCorrelation(so.conditions.Condition):
    """Twice the background with the wavefield."""

    symbol = "C2"

    @property
    def coupling(self):
        return Doubled()

    @property
    def reverse(self):
        return self

    def filling(self, history):
        return Term(Wavefield(), history=history)

    def kept_of(self, u, h):
        return u

    def correlated(self, g, u):
        return 2 * super().correlated(g, u)

    def scattered(self, padded, g):
        return 2 * super().scattered(padded, g)


def images(w, condition):
    return so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q, condition=condition)


def test_laws_of_an_imaging_condition():
    w = World()
    S, C = (images(w, c) for c in (TwiceCorrelation(), so.conditions.Correlation()))
    for op in (S, S @ w.A.H @ w.Pr.H, w.Pr @ w.A @ S.H):
        assert_laws(op)
    assert error((S @ w.A.H @ w.Pr.H) @ w.d, 2 * ((C @ w.A.H @ w.Pr.H) @ w.d)) <= ROUNDING
    born = w.Pr @ w.A @ S.H
    assert_derivative(born, w.dm)
    assert_derivative(born.H, w.d)


def test_an_imaging_condition_says_all_that_is_asked():
    class Nothing(so.conditions.Condition):
        symbol = "N"

    with pytest.raises(TypeError, match=r"abstract methods '?coupling'?, '?filling'?, '?kept_of'?, '?reverse'?"):
        Nothing()


# ---------------------------------------------------------------------- a misfit


@dataclass(frozen=True)
class Quartic:
    """The fourth power."""

    def __call__(self, d_syn, d_obs):
        r = d_syn - d_obs
        return 0.25 * float(np.sum(r**4)), r**3

    def curvature(self, d_syn, d_obs):
        return Diagonal(3 * (d_syn - d_obs).ravel() ** 2)


def test_laws_of_a_misfit():
    w, misfit = World(), Quartic()
    d = 0.5 * (w.F @ w.q)

    def value(m):
        return so.fwi(w.F.at(m=m), w.q, d, misfit=misfit)[0]

    gradient = so.fwi(w.F, w.q, d, misfit=misfit)[1]
    # Uphill, where the first-order term does not come out small by chance.
    dm = 0.1 * w.model.m * np.sign(gradient)
    result = checks.taylor_test(value, gradient, w.model.m, dm=dm, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)
    H = so.hessian(w.F, w.q, d, misfit=misfit)
    assert checks.dot_test(H, verbose=False) <= DOT["float64"]

    def slope(eps):
        return so.fwi(w.F.at(m=w.model.m + eps * w.dm), w.q, d, misfit=misfit)[1]

    # What central differences leave: eps² and rounding over eps.
    assert error(H @ w.dm, (slope(1e-4) - slope(-1e-4)) / 2e-4) <= 1e-5


# ---------------------------------------------------------------------- a sampler


class Snapshot(SurveyOperator):
    """The wavefield at one step; the adjoint sets off all of the grid at once."""

    samples = True
    takes, gives = "wavefields", "grid"
    name = "Pn"

    def __init__(self, model, geometry, step):
        super().__init__(model, geometry, wavefield_shape(model, geometry), (*geometry.lead, *model.shape))
        self.step = step

    def _at(self, model):
        return Snapshot(model, self.geometry, self.step)

    def derivative(self, this, tail, x, wrt):
        return None

    def within(self, window):
        return self._at(window.of(self.model))

    def __getitem__(self, index):
        return Snapshot(self.model, self.geometry[index], self.step)

    def _forward(self, u):
        return self.model.crop(self._shotwise(u)[:, self.step]).reshape(self.dimsd)

    def _transposed(self, w):
        u = np.zeros((self.nsrc, self.nt, *self.model.padded_shape), self.dtype)
        u[:, self.step] = self.model.embed(self._shotwise(w))
        return u.reshape(self.dims)

    # --- as one end of a propagation

    def term(self, i, values=None, end="receiver"):
        given = {} if values is None else {"weights": self.model.embed(values.astype(self.dtype))}
        return Term(LowRank(), {"wavelet": np.eye(1, self.nt, self.step, self.dtype)[0]} | given)

    def shots(self, x):
        return self._shotwise(x)

    def recorded(self, i, payload, end="receiver"):
        return self.model.crop(payload)

    def collector(self):
        return Collected(lambda parts: np.stack(parts).reshape(self.dimsd))


def test_laws_of_a_sampler(counted):
    w = World()
    Pn = Snapshot(w.model, w.rec, 30)
    seen, set_off = Pn @ w.A @ w.Ps.H, w.Pr @ w.A @ Snapshot(w.model, w.rec, 3).H
    for op in (Pn, seen, set_off, seen.jacobian(w.q), set_off.jacobian(random(set_off.dims))):
        assert_laws(op)
    assert_derivative(seen, w.q)
    assert_derivative(set_off, random(set_off.dims))
    # Recognised and run in one march, shot by shot.
    assert counted(lambda: seen @ w.q) == 1
    assert error(seen @ w.q, w.model.crop(w.A @ w.Ps.H @ w.q)[:, 30]) <= ROUNDING
    assert error(seen[1] @ w.q[1], (seen @ w.q)[1]) <= ROUNDING
