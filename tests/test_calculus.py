"""Derivatives: Taylor remainders, the gradient of an inversion, and what they cost in marches and kernels."""

import threading
from dataclasses import replace

import numpy as np
import pylops
import pytest
from zoo import DOT, NAMES, ROUNDING, SLOPE, error, operator, random, world

import seisops as so
from seisops import checks
from seisops.bridge import calculus as bridge
from seisops.bridge.conformance import varies
from seisops.execution import cores
from seisops.propagators import kernels


def assert_derivative(function, derivative, m, **kwargs):
    result = checks.taylor_test(function, derivative, m, verbose=False, **kwargs)
    assert np.log10(result.steps.max() / result.steps.min()) >= 3
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


@pytest.mark.parametrize("name", NAMES)
def test_jacobian(name):
    """Of every entry. No dot test can replace it: a wrong Jacobian has an exact adjoint too."""
    op = operator(name)
    x = random(op.dims, 3)
    if not varies(op):
        with pytest.raises(ValueError, match="does not depend on m"):
            op.jacobian(x)
        return
    # A random direction: not zero at the edges, whose values continue into the absorbing layer.
    if name in ("m", "(m).H"):
        # Linear in m: the second remainder has no slope.
        result = checks.taylor_test(lambda m: op.at(m=m) @ x, op.jacobian(x), op.model.m, verbose=False)
        assert result.second.max() <= ROUNDING * result.first.max()
        return
    assert_derivative(lambda m: op.at(m=m) @ x, op.jacobian(x), op.model.m)


@pytest.mark.parametrize("kind", ["surface", "3d"])
def test_jacobian_in_other_worlds(kind):
    op = operator("Pr A Ps.H", kind)
    x = world(kind).q
    assert_derivative(lambda m: op.at(m=m) @ x, op.jacobian(x), op.model.m)


def complex_products():
    w = world("2d")
    G = so.compose(pylops.signalprocessing.FFT(w.F.dimsd, axis=-1, dtype="complex128") @ w.F)
    return {"G": G, "G.H": G.H, "G.H G": G.H @ G, "1j F": 1j * w.F, "(1j F).H": (1j * w.F).H}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["G", "G.H", "G.H G", "1j F", "(1j F).H"])
def test_complex_products(name, order):
    op = complex_products()[name]
    x = random(op.dims, 3)
    if order == 2:
        op, x = op.jacobian(x), world("2d").dm
    J = op.jacobian(x)
    assert checks.dot_test(J, verbose=False) <= DOT["float64"]
    assert_derivative(lambda m: op.at(m=m) @ x, J, op.model.m)


def test_complex_products_are_known_to_vary():
    assert all(map(varies, complex_products().values()))
    assert not varies(so.compose(pylops.signalprocessing.FFT(8, dtype="complex128")))
    w = world("2d")
    assert not varies(pylops.signalprocessing.FFT(w.Pr.dimsd, axis=-1, dtype="complex128") @ w.Pr)


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_jacobian_of_an_edge(side):
    w = world("2d")
    where = {"left": np.s_[0], "right": np.s_[-1], "top": np.s_[:, 0], "bottom": np.s_[:, -1]}[side]
    dm = np.zeros(w.model.shape)
    dm[where] = 0.1 * w.model.m[where]
    # So few cells that smaller steps would meet the rounding of the data.
    assert_derivative(lambda m: w.F.at(m=m) @ w.q, w.J, w.model.m, dm=dm, steps=np.logspace(0, -3, 7))


@pytest.mark.parametrize("scale", [2.5, -1])
def test_jacobian_of_a_scaled_operator(scale):
    w = world("2d")
    assert error((scale * w.F).jacobian(w.q) @ w.dm, scale * (w.J @ w.dm)) <= ROUNDING


# Those whose value and gradients share their marches in different ways; each pairing is a kernel of its own.
LINEARIZED = [
    "Pr A Ps.H",
    "(Pr A Ps.H).H",
    "Pr A Pw.H",
    "F.H F",
    "J of F",
    "F ragged",
    "2 F",
    "M F",
    "F - 2 F2",
    "(F + F2).H (F + F2)",
    "E D",
    "Pr A D Ps.H",
    "J D",
    "VStack",
    "BlockDiag of two shapes",
]


@pytest.mark.parametrize("name", LINEARIZED)
def test_linearize_is_product_and_jacobian(name):
    op = operator(name)
    x = random(op.dims, 4)
    y, J = op.linearize(x)
    assert error(y, op @ x) <= ROUNDING
    assert error(J @ world("2d").dm, op.jacobian(x) @ world("2d").dm) <= ROUNDING


@pytest.mark.parametrize("name", LINEARIZED)
def test_both_gradients_of_one_march(name):
    op = operator(name)
    x, y = random(op.dims, 4), random(op.dimsd, 5)
    by_x, by_m = op.linearize(x).pull(y)
    assert error(by_x, op.H @ y) <= ROUNDING
    assert error(by_m.ravel(), op.jacobian(x).H.matvec(y.ravel())) <= ROUNDING


@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "F.H F", "J of F", "2 F", "E D", "J D", "VStack"])
def test_jacobian_without_fusion(name):
    op, dm = operator(name), world("2d").dm
    x = random(op.dims, 4)
    expected = op.jacobian(x) @ dm
    with so.no_fusion():
        assert error(op.jacobian(x) @ dm, expected) <= ROUNDING
        assert error(op.linearize(x).J @ dm, expected) <= ROUNDING


@pytest.mark.parametrize(
    "name", ["0.3 F", "F - 2 F2", "E D", "VStack", "1j F", "F + 1j F.T", "G", "F under settings", "F within"]
)
def test_gradients_at_other_types(name):
    """Whole numbers, half precision and complex numbers pull as their values do."""
    w = world("2d")
    others = {
        "0.3 F": 0.3 * w.F,
        "1j F": 1j * w.F,
        "F + 1j F.T": w.Pr @ w.A @ w.Pr.H + 1j * (w.Pr @ w.A.H @ w.Pr.H),
        "G": complex_products()["G"],
        "F under settings": (0.3 * w.F).configured(reproducible=True),
        "F within": so.aperture(0.3 * w.F, 1e4),
    }
    op = others[name] if name in others else operator(name)
    x, y, z = np.rint(10 * random(op.dims, 1)), np.rint(10 * random(op.dimsd, 2)), np.rint(10 * random(op.dimsd, 3))
    exact = op.linearize(x)
    expected = op.H @ y, op.jacobian(x).H @ y
    with_imaginary = [a + 1j * (b @ z) for a, b in zip(expected, (op.H, op.jacobian(x).H), strict=True)]
    for dtype in (np.int8, np.float16, np.float32):
        at = op.linearize(x.astype(dtype))
        assert complex_error(at.value, exact.value) <= ROUNDING
        for found, value in zip(at.pull(y.astype(dtype)), expected, strict=True):
            assert complex_error(found, value) <= ROUNDING
    for found, value in zip(exact.pull(y + 1j * z), with_imaginary, strict=True):
        assert complex_error(found, value) <= ROUNDING


def complex_error(x, y):
    """|x - y| / |y|"""
    return np.linalg.norm(np.ravel(x) - np.ravel(y)) / np.linalg.norm(y)


@pytest.mark.parametrize("dtype", [np.int8, np.float16])
def test_migration_at_other_types(dtype):
    w = world("2d")
    d, dm = np.rint(10 * w.d), np.rint(10 * random(w.dm.shape))
    expected = so.lsrtm(0.3 * w.J, d, dm)
    value, gradient = so.lsrtm(0.3 * w.J, d.astype(dtype), dm.astype(dtype))
    assert value == pytest.approx(expected[0], rel=ROUNDING)
    assert error(gradient, expected[1]) <= ROUNDING


@pytest.mark.parametrize("op", [pylops.MatrixMult(np.eye(3)), pylops.MatrixMult(np.eye(3)) * (1 + 1j)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_product_of_what_is_not_finite_is_refused(op, batch):
    x = np.ones((*batch, 3), op.dtype)
    x[..., 1] = np.nan
    with pytest.raises(ValueError, match="has 1 values that are not finite"):
        bridge.evaluate(so.compose(op), (bridge.FORWARD,), bridge.Inputs(x=x))


def test_a_linearisation_is_of_its_model():
    """What a product left in one model is not found in another, though its input is the same."""
    w = world("2d")
    models, keeper = np.stack([w.model.m, 1.1 * w.model.m]), bridge.Keeper()
    inputs = bridge.Inputs(m=models, x=w.q)
    (y,) = bridge.evaluate(w.F, (bridge.FORWARD,), inputs, keeper)
    (gradient,) = bridge.evaluate(w.F, (bridge.Partial("m", 1),), replace(inputs, y=y), keeper)
    for m, value, found in zip(models, y, gradient, strict=True):
        F = w.F.at(m=m)
        assert error(value, F @ w.q) <= ROUNDING
        assert error(found, F.jacobian(w.q).H @ value) <= ROUNDING


def test_jacobian_copies_what_it_is_taken_at():
    w = world("2d")
    x = w.q.copy()
    J = w.F.jacobian(x)
    x[:] = 0
    assert error(J @ w.dm, w.J @ w.dm) <= ROUNDING


def test_at_changes_nothing():
    w = world("2d")
    before = w.F @ w.q
    other = w.F.at(m=1.1 * w.model.m)
    assert error(other @ w.q, before) > 1e-3
    assert np.array_equal(other.at(m=w.model.m) @ w.q, before)
    assert np.array_equal(w.F @ w.q, before)
    assert other.model.dt == w.model.dt


def test_jacobian_at_another_model():
    w = world("2d")
    m = 1.1 * w.model.m
    assert error(w.J.at(m=m) @ w.dm, w.F.at(m=m).jacobian(w.q) @ w.dm) <= ROUNDING


# ---------------------------------------------------------------------- inversion


@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "F ragged", "2 F", "M F", "F + F2", "F.H F", "J of F"])
def test_value_and_gradient_of_fwi(name):
    """By the adjoint of the Jacobian, which Taylor's test holds."""
    op = operator(name)
    x, d = random(op.dims, 5), random(op.dimsd, 6)
    value, gradient = so.fwi(op, x, d)
    residual = op @ x - d
    assert value == pytest.approx(0.5 * np.sum(residual**2), rel=ROUNDING)
    assert gradient.shape == op.model.shape
    assert error(gradient, (op.jacobian(x).H @ residual).reshape(gradient.shape)) <= ROUNDING


def test_gradient_of_what_fits_is_zero():
    w = world("2d")
    value, gradient = so.fwi(w.F, w.q, w.F @ w.q)
    scale = np.linalg.norm(w.F @ w.q)
    # The same march twice: rounding of sums in another order at most.
    assert value <= (ROUNDING * scale) ** 2
    assert np.linalg.norm(gradient) <= ROUNDING * np.linalg.norm(so.fwi(w.F, w.q, 0 * w.d)[1])


# ---------------------------------------------------------------------- cost


def test_marches(counted):
    w = world("2d")
    F, q, d, dm = w.F, w.q, w.d, w.dm
    assert counted(lambda: F @ q) == 1
    assert counted(lambda: F.H @ d) == 1
    assert counted(lambda: so.fwi(F, q, d)) == 2
    assert counted(lambda: F.linearize(q)) == 1
    J = F.jacobian(q)
    assert counted(lambda: J @ dm) == 2, "the background and the perturbed field"
    assert counted(lambda: J @ dm) == 1
    assert counted(lambda: J.H @ d) == 1
    _, J = F.linearize(q)
    assert counted(lambda: J.H @ d) == 1
    assert counted(lambda: J @ dm) == 1
    assert counted(lambda: (J.H @ J) @ dm) == 2
    at_q = F.linearize(q)
    assert counted(lambda: at_q.pull(d)) == 1, "both gradients"


@pytest.mark.parametrize("name", ["Pr A Pw.H", "2 F", "M F", "F ragged"])
def test_marches_of_other_inversions(name, counted):
    op = operator(name)
    assert counted(lambda: so.fwi(op, random(op.dims), random(op.dimsd))) == 2


def test_marches_of_a_sum(counted):
    op = operator("F + F2")
    assert counted(lambda: so.fwi(op, random(op.dims), random(op.dimsd))) == 4


def test_the_background_is_not_made_before_it_is_needed(counted):
    w = world("2d")
    assert counted(lambda: so.Jacobian(w.F, w.q)) == 0


@pytest.mark.parametrize("models", [(), (4,)], ids=["one model", "a model each"])
def test_items_of_a_batch_run_side_by_side(monkeypatch, models):
    """Values, both gradients and what the forward kept, to the bit."""
    monkeypatch.setattr(cores, "cores", lambda: 2)
    F = world("2d").F[1]
    inputs = bridge.Inputs(x=random((4, *F.dims)), y=random((4, *F.dimsd), 1), m=np.ones((*models, 1, 1)) * F.model.m)
    pair = (bridge.Partial("x", 0), bridge.Partial("m", 1))

    def everything():
        keeper = bridge.Keeper()
        given = replace(inputs, y=None)
        return [*bridge.evaluate(F, (bridge.FORWARD,), given, keeper), *bridge.evaluate(F, pair, inputs, keeper)]

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "at_once", lambda n, cells: 1)
        expected = everything()
    # Each waits for another, which comes only if it runs at the same time.
    met, item = threading.Barrier(2, timeout=60), bridge._item

    def waits(*args):
        met.wait()
        return item(*args)

    monkeypatch.setattr(bridge, "_item", waits)
    for got, wanted in zip(everything(), expected, strict=True):
        assert np.array_equal(got, wanted)


def test_nothing_is_built_or_loaded_twice(monkeypatch):
    w = world("2d")
    calls = [lambda: w.F @ w.q, lambda: so.fwi(w.F, w.q, w.d), lambda: w.E @ w.w, lambda: w.J.H @ (w.J @ w.dm)]
    for call in calls:
        call()
    before = kernels.built
    monkeypatch.setattr(kernels, "_load", lambda path: pytest.fail("loaded again"))
    for call in calls:
        call()
    # Another model, survey, duration and number of points are arguments of the same kernel.
    model = so.Model(v=random((31, 17)) * 0.1 + 2, spacing=(7.0, 9.0), dtype="float64", correct_dispersion=False)
    src = so.Geometry([[[50.3, 40.1], [60.2, 70.7]]], dt=2.5, t=90.0)
    rec = so.Geometry([[[20.3 + 10 * i, 33.3] for i in range(5)]], dt=2.5, t=90.0)
    F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    so.fwi(F, random(F.dims), random(F.dimsd))
    assert kernels.built == before


def test_a_background_that_does_not_fit_is_made_again(monkeypatch, counted):
    from seisops.storage import auto

    w = world("2d")
    expected = w.J @ w.dm
    monkeypatch.setattr(auto, "BUDGET_FRACTION", 0)
    J = w.F.jacobian(w.q)
    assert counted(lambda: J @ w.dm) == 2
    assert counted(lambda: J @ w.dm) == 2
    assert error(J @ w.dm, expected) <= ROUNDING
