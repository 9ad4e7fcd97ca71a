"""Schemes are transposed and linearised exactly: tried in NumPy, on equations that share nothing but being linear."""

import numpy as np
import pytest
import sympy

from seisops.model.formulas import named
from seisops.physics import TTI, VTI, Acoustic, Elastic, VariableDensity, Viscoacoustic, Viscoelastic, surface
from seisops.physics.coefficients import Function, function
from seisops.physics.inlining import inlined
from seisops.physics.layer import absorbing, scaled
from seisops.physics.ordering import merged
from seisops.physics.ports import added, assigned, ported, scatterers
from seisops.physics.reference import Reference
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import weights
from seisops.physics.steps import Receiver, Source, Stage
from seisops.physics.terms import Difference, Field, Times

SHAPE, SPACING, STEPS, ORDER = (8, 7), (10.0, 12.0), 4, 4
# What the sums of a dense transpose may differ by.
ROUNDING = 1e-13


def with_density():
    """A second-order field, whose two differences have a coefficient between them."""
    u = Field("u", (0, 0), inertia="kappa")
    terms = sum(Difference(a, shift=-1)(Times(f"buoyancy{a}")(Difference(a, shift=1)(u.value))) for a in range(2)).terms
    return Scheme((u,), (Receiver("p", "u"), Stage("u", terms), Source("p", "u")))


def elastic():
    """First-order fields on staggered nodes, changed in place."""
    places = {"vx": (1, 0), "vz": (0, 1), "sxx": (0, 0), "szz": (0, 0), "sxz": (1, 1)}
    f = {name: Field(name, place) for name, place in places.items()}

    def d(axis, name, target):
        shift = places[target][axis] - places[name][axis]
        return Difference(axis, shift=shift)(f[name].value)

    exx, ezz = d(0, "vx", "sxx"), d(1, "vz", "szz")
    stages = {
        "vx": Times("bx")(d(0, "sxx", "vx") + d(1, "sxz", "vx")),
        "vz": Times("bz")(d(0, "sxz", "vz") + d(1, "szz", "vz")),
        "sxx": Times("c")(exx) + Times("lam")(ezz),
        "szz": Times("c")(ezz) + Times("lam")(exx),
        "sxz": Times("mu")(d(1, "vx", "sxz") + d(0, "vz", "sxz")),
    }
    steps = [Stage(name, value.terms) for name, value in stages.items()]
    force, explosion = Source("fx", "vx", (Times("bx"),)), Source("explosion", "sxx")
    receivers = (Receiver("vz", "vz"), Receiver("sxx", "sxx"), Receiver("sxz", "sxz"))
    return Scheme(tuple(f.values()), (*steps[:2], force, *steps[2:], explosion, *receivers))


def damped():
    """A memory variable of a wavefield, with a factor of its own."""
    u, r = Field("u", (0, 0), inertia="m"), Field("r", (0, 0))
    laplacian = sum(Difference(a, degree=2)(u.value) for a in range(2))
    return Scheme(
        (u, r),
        (
            Stage("r", Times("g")(laplacian).terms, keep="decay"),
            Stage("u", (laplacian + r.value).terms),
            Source("p", "u"),
            Receiver("p", "u"),
        ),
    )


SCHEMES = {
    "acoustic": lambda: Acoustic().scheme(2),
    "with density": with_density,
    "elastic": elastic,
    "damped": damped,
}
SCHEMES |= {f"{name}, layer": lambda make=make: absorbing(make(), (0, 1)) for name, make in SCHEMES.items()}
every = pytest.mark.parametrize("name", SCHEMES)


def coefficients(scheme):
    rng = np.random.default_rng(0)
    found = {}
    for name in sorted(scheme.coefficients):
        size = np.array(SHAPE)
        if name[-2:] in ("_0", "_1"):
            # A profile of the layer, along one axis.
            size[1 - int(name[1])] = 1
            found[name] = rng.uniform(0.1, 0.9, size) * (-0.3 if name[0] == "a" else 1)
        else:
            found[name] = rng.uniform(0.3, 0.9, size)
    return found


def reference(scheme, values):
    return Reference(scheme, values, SHAPE, SPACING, h=1.0, order=ORDER)


def ports_in(scheme, kind):
    return sorted(s.name for s in scheme.steps if isinstance(s, kind))


def dense(scheme, adjoint):
    """The matrix from all that comes in to all that goes out."""
    march, columns = reference(scheme, coefficients(scheme)).march, []
    for source in ports_in(scheme, Source):
        for i in range(STEPS * np.prod(SHAPE)):
            x = np.zeros(STEPS * np.prod(SHAPE))
            x[i] = 1
            out, _ = march({source: x.reshape(STEPS, *SHAPE)}, STEPS, adjoint=adjoint)
            columns.append(np.concatenate([out[r].ravel() for r in ports_in(scheme, Receiver)]))
    return np.stack(columns, axis=1)


@every
def test_transpose_is_the_dense_transpose(name):
    scheme = SCHEMES[name]()
    F, G = dense(scheme, adjoint=False), dense(scheme.transpose, adjoint=True)
    assert np.abs(F).max() > 0
    assert np.abs(G - F.T).max() <= ROUNDING * np.abs(F).max()


MEDIA = [VariableDensity(), VTI(), TTI(), Viscoacoustic(0.01), Elastic(), Viscoelastic(0.01, 1)]


@pytest.mark.parametrize("adjoint", [False, True], ids=["forward", "adjoint"])
@pytest.mark.parametrize("layers", [(), (0, 1)], ids=["bare", "layer"])
@pytest.mark.parametrize("ends", ["p > p", "x > p", "p > x", "x p > x p", "x fx wx p > x fx wx p"])
@pytest.mark.parametrize("medium", MEDIA, ids=lambda m: type(m).__name__)
def test_what_is_marched_is_the_scheme(medium, ends, layers, adjoint):
    """With fewer fields in memory, ports where they have been moved to, and memories times their profile."""
    whole = surface.applied(medium.scheme(2), False)
    sources, receivers = (set(names.split()) & set(medium.channels(2)) or {"p"} for names in ends.split(" > "))
    few = absorbing(inlined(whole, sources, receivers, adjoint=adjoint), layers)
    whole = absorbing(whole, layers)
    if adjoint:
        whole, few, sources, receivers = whole.transpose, scaled(few.transpose), receivers, sources
    assert set(ports_in(few, Source)) == sources
    assert set(ports_in(few, Receiver)) == receivers
    values, rng = coefficients(whole), np.random.default_rng(4)
    x = {name: rng.standard_normal((STEPS, *SHAPE)) for name in sorted(sources)}
    expected, got = (reference(s, values).march(x, STEPS, adjoint=adjoint)[0] for s in (whole, few))
    for name in receivers:
        assert np.abs(expected[name]).max() > 0
        assert np.abs(got[name] - expected[name]).max() <= ROUNDING * np.abs(expected[name]).max(), name


def test_what_changes_meanwhile_is_not_put_in_place_of_a_field():
    """Where a field holds what another was, it is no other name for what that is now."""
    u, r, old = Field("u", (0, 0), inertia="m"), Field("r", (0, 0)), Field("old", (0, 0))
    stages = assigned(old, r.value), added(r, u.value), added(u, Times("c")(old.value))
    scheme = ported((u, r, old), stages, [Source("p", "u"), Receiver("p", "u")], closed=("u", "r", "old"))
    assert inlined(scheme, ("p",), ("p",)) == scheme
    late = ported((u, r, old), (stages[0], stages[2], stages[1]), [Source("p", "u")], closed=("u", "r", "old"))
    assert "old" not in {f.name for f in inlined(late, ("p",), ("p",)).fields}


@pytest.mark.parametrize("ports", [("p",), ("x", "p"), ("exx", "vz", "szz"), None], ids=str)
@pytest.mark.parametrize("layers", [(), (0, 1)], ids=["bare", "layer"])
@pytest.mark.parametrize("medium", [VariableDensity(), Elastic()], ids=lambda m: type(m).__name__)
def test_transpose_between_ports(medium, layers, ports):
    """With fields inlined that no port meets; by a dot test, as dense matrices of so many fields are large."""
    scheme = medium.scheme(2)
    known = set(medium.channels(2))
    met = known if ports is None else known & {*ports, "fx", "wz"}
    scheme = absorbing(inlined(scheme, met, met), layers)
    values, rng = coefficients(scheme), np.random.default_rng(3)
    x, y = (
        {name: rng.standard_normal((STEPS, *SHAPE)) for name in ports_in(scheme, kind)} for kind in (Source, Receiver)
    )
    out, _ = reference(scheme, values).march(x, STEPS)
    back, _ = reference(scheme.transpose, values).march(y, STEPS, adjoint=True)
    left, right = (sum(np.vdot(a[k], b[k]) for k in b) for a, b in ((out, y), (back, x)))
    size = np.sqrt(sum(np.sum(out[k] ** 2) for k in y) * sum(np.sum(v**2) for v in y.values()))
    assert size > 0
    assert abs(left - right) <= ROUNDING * size


@every
def test_twice_transposed_is_the_same_march(name):
    scheme = SCHEMES[name]()
    values, rng = coefficients(scheme), np.random.default_rng(1)
    x = {source: rng.standard_normal((STEPS, *SHAPE)) for source in ports_in(scheme, Source)}
    once, _ = reference(scheme, values).march(x, STEPS)
    again, _ = reference(scheme.transpose.transpose, values).march(x, STEPS)
    for receiver, d in once.items():
        assert np.abs(again[receiver] - d).max() <= ROUNDING * np.abs(d).max()


@every
def test_what_is_kept_makes_the_derivative_in_every_coefficient(name):
    scheme = SCHEMES[name]()
    values, rng = coefficients(scheme), np.random.default_rng(2)
    x = {source: rng.standard_normal((STEPS, *SHAPE)) for source in ports_in(scheme, Source)}
    for coefficient in [c for c in values if c[-2:] not in ("_0", "_1") and c != "decay"]:
        perturbations = scheme.linearised([coefficient])
        assert perturbations
        _, kept = reference(scheme, values).march(x, STEPS, keep=perturbations)
        dc = rng.standard_normal(SHAPE)
        scattered = {p: dc * kept[p] for p in perturbations}
        born, _ = reference(scheme, values).march({}, STEPS, scatter=scattered)
        slopes = []
        for eps in (1e-2, 1e-3, 1e-4):
            there, back = (
                reference(scheme, values | {coefficient: values[coefficient] + s * eps * dc}).march(x, STEPS)[0]
                for s in (1, -1)
            )
            slopes.append(max(np.abs((there[r] - back[r]) / (2 * eps) - d).max() for r, d in born.items()))
        # Central differences err by eps squared, or the derivative is exact and they do not err at all.
        assert slopes[2] <= max(1.1e-4 * slopes[0], 1e-9 * max(np.abs(d).max() for d in born.values()))


def test_a_term_that_lands_beside_its_field_is_refused():
    u, v = Field("u", (0, 0)), Field("v", (1, 0))
    with pytest.raises(ValueError, match=r"half cells off the nodes, v is at \(1, 0\)"):
        Scheme((u, v), (Stage("v", Difference(0, shift=-1)(u.value).terms),))


def test_a_factor_after_its_field_was_used_is_refused():
    u, r = Field("u", (0, 0)), Field("r", (0, 0))
    scheme = Scheme(
        (u, r),
        (Stage("u", Times("g")(r.value).terms), Stage("r", u.value.terms, keep="decay"),
         Stage("r", Times("g")(u.value).terms), Stage("u", r.value.terms)),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"r is used after its factor decay"):
        _ = scheme.transpose


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("degree, shift", [(0, 1), (0, -1), (1, 0), (1, 1), (1, -1), (2, 0)])
def test_differences_are_exact_for_polynomials(order, degree, shift):
    """Of a degree up to the order, interpolation below it; beyond it they are not."""
    nodes, values = map(np.array, weights(Difference(0, degree, shift), order))
    # A result at half cells is of nodes, one at nodes of half cells.
    points = nodes + (0.5 if shift < 0 else 0)
    at = 0.5 if shift > 0 else 0

    def error(power):
        p = np.polynomial.Polynomial([0.3, 1]) ** power
        return abs(values @ p(points) - (p.deriv(degree)(at) if degree else p(at))) / max(1, np.abs(p(points)).max())

    assert max(error(power) for power in range(degree, order + (degree > 0))) < 1e-13
    assert error(order + degree + 2) > 1e-6


def test_partial_derivatives_of_coefficients():
    medium = Acoustic()
    m, v = np.array([0.25, 0.3]), np.array([2.0, 1.8])
    same, spelled = (function("m", medium.meanings(wrt), medium.names, 2) for wrt in (("m",), ("v",)))
    assert same.variables == (("m", (0, 0)),)
    along = {0: np.ones(2)}
    assert np.all(same.at(1.0, [m], wrt=[0])[0] == 1)
    assert same.at(1.0, [m], [along], wrt=[0]) == {}
    assert np.allclose(spelled.at(1.0, [v], [along, along])[None], 6 / v**4, rtol=1e-15)
    assert np.allclose(spelled.at(1.0, [v], [along, along], wrt=[0])[0], -24 / v**5, rtol=1e-15)
    assert np.allclose(medium.evaluate(medium.speed, {"m": m}), 1 / np.sqrt(m), rtol=1e-15)


FORMULAS = {
    "powers": "a**2*b/(1 + c**3) - 3*a*b**(-2) + 2",
    "roots": "sqrt(a*b + c)*a**Rational(2, 3) - b**1.5",
    "functions": "exp(-a*c)*sin(b) + cos(a)**2*log(b*c) + tan(a/2)",
    "two arguments": "a**b + atan2(b, a*c) + h*a*c",
    "a number": "2 + h",
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_derivatives_of_formulas_are_those_of_sympy(formula):
    """Along none to three directions, in each variable and in none."""
    rng = np.random.default_rng(0)
    symbols, h = sympy.symbols("a__0 b__0 c__0"), sympy.Symbol("h")
    along = sympy.sympify(formula, locals=dict(zip("abc", symbols, strict=True)))
    f = Function(along, tuple((name, (0,)) for name in "abc"))
    known, given = [h, *symbols], [0.7, *rng.uniform(0.5, 1.5, (3, 4))]
    changes = []

    def agrees(found, expression):
        value = np.zeros(4) if found is None else np.broadcast_to(found, 4)
        expected = np.broadcast_to(sympy.lambdify(known, expression, "numpy")(*given), 4)
        return np.allclose(value, expected, rtol=1e-13, atol=1e-13)

    for k in range(4):
        assert agrees(f.at(0.7, given[1:4], changes).get(None), along)
        gradient = f.at(0.7, given[1:4], changes, wrt=range(3))
        assert all(agrees(gradient.get(i), sympy.diff(along, x)) for i, x in enumerate(symbols))
        # The last direction leaves one variable as it is.
        steps = dict(enumerate(sympy.symbols(f"a{k} b{k} c{k}")[: 2 if k == 2 else 3]))
        changes.append({i: rng.standard_normal(4) for i in steps})
        along = sum(sympy.diff(along, symbols[i]) * step for i, step in steps.items())
        known, given = [*known, *steps.values()], [*given, *changes[-1].values()]


def test_a_formula_with_cases_is_refused():
    f = function("Piecewise((m, m > 1), (1, True))", (("m", "m"),), ("m",), 2)
    with pytest.raises(ValueError, match="A formula of a medium has no cases: write Piecewise"):
        f.at(1.0, [np.ones(3)])


def test_a_harmonic_mean_of_zeros_is_zero_and_so_are_its_derivatives():
    """Water over rock: where one node of four is a fluid, where two are, and where all are."""
    medium = Elastic()
    f = function(medium.coefficients["Cxz01"], medium.meanings(("vs",)) + surface.NONE, medium.names, 2)
    vs = {node: x for node, x in zip(((0, 0), (0, 1), (1, 0), (1, 1)), np.array([[1.0, 0, 0, 0], [1, 1, 0, 0],
         [1, 1, 1, 0], [1, 1, 1, 1]]).T, strict=True)}  # fmt: skip
    at = [vs[node] if name == "vs" else np.ones(4) for name, node in f.variables]
    assert f.at(1.0, at)[None].tolist() == [0, 0, 0, 1]
    found = f.at(1.0, at, wrt=range(len(at)))
    for i, (name, _) in enumerate(f.variables):
        # A mean of velocities squared is flat where one of them vanishes.
        assert found[i].tolist() == [0, 0, 0, 0.5 if name == "vs" else 0.25]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("medium", [VariableDensity(), Elastic()], ids=lambda m: type(m).__name__)
def test_every_coefficient_scatters_from_port_to_port(medium, ndim):
    scheme = medium.scheme(ndim)
    coefficients = named(scheme, medium)
    assert len(coefficients) > 2
    for coefficient in coefficients:
        assert scatterers(scheme, [coefficient])


def test_a_coefficient_of_several_fields_scatters_off_each():
    found = scatterers(Elastic().scheme(3), ["Cxxyy"])
    assert [s.kept for s in found if s.target == "sxx"] == ["eyy", "ezz"]


def test_a_coefficient_that_is_nothing_to_keep_for_is_refused():
    u, r = Field("u", (0, 0), inertia="m"), Field("r", (0, 0))
    hidden = ported((u, r), (assigned(r, Times("c")(Difference(0, 2)(u.value))), added(u, r.value)))
    with pytest.raises(ValueError, match=r"c of the stage of r does not multiply a field .* assigned\(e, D\(u\)\)"):
        scatterers(hidden, ["c"])
    decaying = ported((u, r), (Stage("r", u.value.terms, keep="q"), added(u, r.value)))
    with pytest.raises(ValueError, match="What a field keeps from step to step depends on the parameters"):
        scatterers(decaying, ["q"])


def test_fields_that_only_pass_on_are_gone_where_nothing_meets_them():
    scheme = Elastic().scheme(2)
    few, all_of_them = (
        inlined(scheme, ("p", "x"), ("p", "x")),
        inlined(scheme, *2 * [[s.name for s in scheme.steps if isinstance(s, Source)]]),
    )
    assert {f.name for f in few.fields} == {"vx", "vz", "volume", "pressure", "sxx", "szz", "sxz"}
    # A force that comes in at one that is gone is an acceleration.
    assert Source("x", "vx", (Times("b0"),)) in few.steps
    assert len(all_of_them.fields) == len(scheme.fields)
    assert "pressure" not in {f.name for f in inlined(scheme, ("p",), ("x",)).fields}
    assert "volume" not in {f.name for f in inlined(scheme, ("x",), ("p",)).fields}


def test_stages_of_a_field_are_one_where_nothing_tells_the_difference():
    u, x, y = Field("u", (0, 0), inertia="m"), Field("x", (0, 0)), Field("y", (0, 0))
    made, in_strip, later = assigned(y, x.value), Stage("y", x.value.terms, strip=0), added(y, u.value)
    # Made anew it cannot wait for what a strip adds to it, but what is added later can come sooner.
    assert merged([made, in_strip, later], {"u"}) == (assigned(y, x.value + u.value), in_strip)
    # What is read of it meanwhile is its first part alone, but the first can wait for what is added to others.
    read, beside = added(x, y.value), added(x, u.value)
    assert merged([later, beside, added(y, 2 * u.value)], {"u"}) == (beside, added(y, u.value + 2 * u.value))
    taken = [added(y, u.value), read, added(y, x.value)]
    assert merged(taken, {"u"}) == tuple(taken)
