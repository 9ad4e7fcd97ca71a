"""Changes of variables: there and back, derivatives of both orders, in objectives and solvers, and what is refused."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from test_media import bare as media
from zoo import DOT, ROUNDING, SLOPE, error, world

import seisops as so
from seisops import checks

WATER = np.zeros(world("2d").model.shape, bool)
WATER[:, :4] = True
# All that a medium's parameters may be made of, with and without bounds and fixed nodes.
CASES = {
    "velocity": ("2d", ("v",), {}),
    "velocity, bounds": ("2d", ("v",), {"bounds": (1.4, 2.6)}),
    "velocity, bounds, water": ("2d", ("v",), {"bounds": {"v": (1.4, 2.6)}, "fixed": WATER}),
    "squared slowness": ("2d", ("m",), {}),
    "slowness": ("2d", (), {"v": "1 / s", "bounds": {"s": (1 / 2.6, 1 / 1.4)}, "fixed": WATER}),
    "logarithm": ("2d", (), {"v": "2 * exp(a)"}),
    "impedance": ("density", (), {"v": "v", "rho": "Z / v", "bounds": {"v": (1.4, 2.56)}}),
    "density tied to the velocity": ("density", (), {"v": "v", "rho": "1.7 * v ** 0.25"}),
    "elastic": ("elastic", ("vp", "vs", "rho"), {"bounds": {"vp": (1.4, 2.6), "vs": (0.3, 1.1)}}),
    "rigidity": ("elastic", ("rho",), {"vp": "vp", "vs": "sqrt(mu / rho)"}),
}
every = pytest.mark.parametrize("name", CASES)
some = pytest.mark.parametrize("name", ["velocity, bounds, water", "impedance", "elastic"])


def case(name):
    """A survey, and the unknowns of a case, at which a random direction has the size of what they span."""
    where, names, options = CASES[name]
    w = world(where) if where == "2d" else media(where)
    P = so.parametrisation(w.model, *names, **options)
    rng = np.random.default_rng(5)
    return w, P, 0.1 * np.maximum(np.abs(P.start), 0.3) * rng.uniform(-1, 1, P.shape)


def stacked(point):
    return np.stack(list(point.values()))


# ---------------------------------------------------------------------- the map


@every
def test_there_and_back(name):
    w, P, dx = case(name)
    start = P(P.start)
    tied = name == "density tied to the velocity"
    for p in P.names[:1] if tied else P.names:
        assert error(start[p], getattr(w.model, p)) <= ROUNDING
    other = w.model.at(**P(P.start + dx))
    assert np.abs(other.parameters["m" if "m" in other.parameters else "rho"]).max() > 0
    free = slice(None) if P.fixed is None else ~P.fixed
    # The parts one by one; nodes that are fixed have no unknowns of their own.
    for back, x in zip(P.parts(P.inverse(other)), P.parts(P.start + dx), strict=True):
        assert error(back[free], x[free]) <= 1e-10


@every
def test_derivatives_of_both_orders(name):
    _, P, dx = case(name)
    x, g = P.start + dx, np.random.default_rng(6).standard_normal((len(P.names), *P.model.shape))
    J = P(x).jacobian
    assert J.dims == P.shape
    assert checks.dot_test(J, verbose=False) <= DOT["float64"]

    def gradient(x):
        return P(x).jacobian.rmatvec(g.ravel())

    if P.bounds or any(name != formula for name, formula in P.formulas.items()):
        assert checks.taylor_test(lambda x: stacked(P(x)), J, x, verbose=False).slopes == pytest.approx(
            (1, 2), abs=SLOPE
        )
        C = P(x).curvature(g)
        assert checks.dot_test(C, verbose=False) <= DOT["float64"]
        u, v = np.random.default_rng(7).standard_normal((2, C.shape[0]))
        assert abs(np.dot(u, C @ v) - np.dot(v, C @ u)) <= ROUNDING * np.linalg.norm(u) * np.linalg.norm(C @ v)
        assert checks.taylor_test(gradient, C, x, verbose=False).slopes == pytest.approx((1, 2), abs=SLOPE)
    else:
        # The parameters are the unknowns.
        assert error(J @ dx.ravel(), dx.ravel()) <= ROUNDING
        assert not np.any(P(x).curvature(g) @ dx.ravel())


def test_bounds_hold_however_far_the_unknowns_go():
    _, P, dx = case("velocity, bounds, water")
    for far in (-1e9, 1e9, 1e3 * dx):
        v = P(P.start + far)["v"]
        assert np.all((v[~WATER] >= 1.4) & (v[~WATER] <= 2.6))
        assert np.array_equal(v[WATER], P.model.quantity("v")[WATER])


def test_bounds_may_be_arrays_and_the_water_outside_of_them():
    model, _, _ = case("velocity")[0].model, None, None
    v = model.quantity("v")
    P = so.parametrisation(
        model, "v", bounds=(np.where(WATER, 2.6, v - 0.1), np.where(WATER, 2.7, v + 0.1)), fixed=WATER
    )
    assert error(P(P.start)["v"], v) <= ROUNDING
    assert error(P(P.start + 1e9)["v"], np.where(WATER, v, v + 0.1)) <= 1e-8


def test_it_travels():
    _, P, dx = case("impedance")
    again = pickle.loads(pickle.dumps(P))
    assert error(stacked(again(P.start + dx)), stacked(P(P.start + dx))) == 0
    assert repr(again) == repr(P)
    assert "v (km/s), rho (g/cm³) of 2 unknowns: v from 1.4 to 2.56, Z" in repr(P)


# ---------------------------------------------------------------------- in objectives


@some
def test_gradient_in_the_unknowns(name):
    w, P, dx = case(name)

    def f(x):
        return so.fwi(w.F, w.q, w.d, wrt=P(x))

    value, gradient = f(P.start)
    assert gradient.shape == P.shape
    assert value == pytest.approx(so.fwi(w.F, w.q, w.d)[0], rel=1e-9)
    dx = np.abs(dx) * np.sign(gradient)
    steps = np.logspace(-1, -4, 7)
    result = checks.taylor_test(lambda x: f(x)[0], gradient, P.start, dm=dx, steps=steps, verbose=False)
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)
    if P.fixed is not None:
        assert not np.any(gradient[P.fixed])


@some
def test_the_hessian_in_the_unknowns_is_exact(name):
    w, P, dx = case(name)
    H = so.hessian(w.F, w.q, w.d, wrt=P(P.start))
    assert H.shape == (dx.size, dx.size)
    assert checks.dot_test(H, verbose=False) <= DOT["float64"]

    def f(x):
        return so.fwi(w.F, w.q, w.d, wrt=P(x))[1]

    assert checks.taylor_test(f, H, P.start, dm=dx, verbose=False).slopes == pytest.approx((1, 2), abs=SLOPE)


def test_a_preconditioner_is_of_the_unknowns():
    w, P, dx = case("velocity, bounds, water")
    M = so.preconditioners.smoothing(w.model, 30.0) @ so.preconditioners.depth_scaling(w.model)
    gradient = so.fwi(w.F, w.q, w.d, wrt=P(P.start), model_precon=M)[1]
    assert error(gradient.ravel(), M.rmatvec(so.fwi(w.F, w.q, w.d, wrt=P(P.start))[1].ravel())) <= ROUNDING
    H, plain = (so.hessian(w.F, w.q, w.d, wrt=P(P.start), **k) for k in ({"model_precon": M}, {}))
    assert error(H @ dx.ravel(), M.rmatvec(plain @ M.matvec(dx.ravel()))) <= ROUNDING


def test_a_jacobian_in_the_unknowns_is_a_product():
    w, P, dx = case("impedance")
    p = P(P.start)
    J = so.Jacobian(w.F.at(**p), w.q, wrt=P.names) @ p.jacobian
    assert checks.dot_test(J, verbose=False) <= DOT["float64"]

    def f(x):
        return w.F.at(**P(x)) @ w.q

    assert checks.taylor_test(f, J, P.start, dm=dx, verbose=False).slopes == pytest.approx((1, 2), abs=SLOPE)


def test_a_point_in_the_place_of_names_is_refused():
    w, P, _ = case("velocity")
    for call in (
        lambda p: so.Jacobian(w.F, w.q, wrt=p),
        lambda p: w.F.jacobian(w.q, wrt=p),
        lambda p: w.F.linearize(w.q, p),
    ):
        with pytest.raises(TypeError, match=r"names, got values of v: write op\.at\(\*\*p\).*p\.jacobian"):
            call(P(P.start))


def test_scipy_inverts_with_water_and_bounds():
    w, P, _ = case("velocity, bounds, water")
    d = w.F.at(v=np.where(WATER, w.model.v, 0.98 * w.model.v)) @ w.q

    def f(x):
        return so.fwi(w.F, w.q, d, wrt=P(x))

    found = minimize(f, P.start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 5})
    # Measured: five iterations leave 0.176 of the misfit.
    assert found.fun < 0.2 * f(P.start)[0]
    v = P(found.x)["v"]
    assert np.array_equal(v[WATER], w.model.quantity("v")[WATER])
    assert v[~WATER].min() > 1.4 and v[~WATER].max() < 2.6


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (
            ("v",),
            {"bounds": (1.4, 4.6)},
            r"v from 1\.4 to 4\.6 let waves reach 4\.6 km/s, above 2\.7\d+ km/s.*vmax=4\.6",
        ),
        ((), {"v": "1 / s", "bounds": (0.2, 0.7)}, r"s from 0\.2 to 0\.7 let waves reach 5 km/s"),
        (("v",), {"bounds": (1.8, 2.6)}, r"starts with v from 1\.5\d* to 2\.\d+, .* 1\.8 to 2\.6: \d+ nodes are not"),
        (("v",), {"bounds": (2.6, 1.4)}, r"lower bound of v must be below"),
        (("v",), {"bounds": {"vp": (1, 2)}}, r"Bounds of vp, which is no unknown: v"),
        (("v",), {"bounds": (1.4, np.inf)}, r"Bounds of v are finite numbers"),
        (("vp",), {}, r"no parameter 'vp'.*with respect to m \("),
        (("v", "m"), {}, r"each once"),
        ((), {"v": "2.0"}, r"v = 2\.0 has no unknown in it"),
        ((), {"v": "log(-exp(a))"}, r"cannot be solved for a"),
        (("v",), {"fixed": np.zeros((3, 3), bool)}, r"array of bool of the model's shape \(25, 21\)"),
        (("v",), {"fixed": np.ones(WATER.shape)}, r"array of bool .* got float64"),
        (("v",), {"fixed": np.ones(WATER.shape, bool)}, r"All nodes are fixed"),
    ],
)
def test_what_says_nothing_is_refused(names, options, message):
    with pytest.raises(ValueError, match=message):
        so.parametrisation(world("2d").model, *names, **options)


def test_unknowns_of_another_shape_or_not_finite_are_refused():
    _, P, _ = case("velocity")
    with pytest.raises(ValueError, match=r"unknowns have shape \(25, 21\), or are flat; got \(3,\)"):
        P(np.zeros(3))
    with pytest.raises(ValueError, match=r"1 of the unknowns are not finite"):
        P(np.where(np.arange(WATER.size) == 3, np.nan, 1.0))
    two = so.parametrisation(media("density").model, "v", "rho")
    with pytest.raises(ValueError, match=r"Bounds are by name of several unknowns: bounds=\{'v'"):
        so.parametrisation(media("density").model, "v", "rho", bounds=(1, 2))
    assert two.shape == (2, 13, 12)
