"""The algebra against dense matrices. Nothing here compiles."""

import re

import numpy as np
import pylops
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import DOT, ROUNDING, error, operator, random, world

import seisops as so
from seisops import checks
from seisops.algebra import Adjoint, Chain, Constant, SeismicOperator, Sum, compose, fuse

# Products of a few matrices of small whole numbers: rounding of the scalars only.
EXACT = 1e-13


class Dense(Constant):
    """A matrix among the operators of this library."""

    def __init__(self, matrix, name="D"):
        self.matrix = np.asarray(matrix)
        super().__init__(self.matrix.shape[1:], self.matrix.shape[:1], self.matrix.dtype)
        self.name = name

    def _forward(self, x):
        return self.matrix @ x

    def _transposed(self, y):
        return self.matrix.T @ y


class Sampler(Dense):
    samples = True


class Solver(Dense):
    """Something that propagates: fused with the samplers around it into one matrix."""

    propagates = True

    def propagation(self, left, right, adjoint=False):
        matrix = self.matrix.T if adjoint else self.matrix
        matrix = matrix if left is None else left.matrix @ matrix
        return Dense(matrix if right is None else matrix @ right.matrix.T, "fused")


def matrix(rows, columns, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, (rows, columns)).astype(float)


def dense(op):
    """All columns of an operator."""
    return np.stack([op.matvec(e) for e in np.eye(op.shape[1])], axis=1)


# ---------------------------------------------------------------------- random trees

SIZES = (2, 3)
SCALARS = st.sampled_from([2, -1, 0.5, -3.0, np.float64(1.5), 1])
COMPLEX = SCALARS | st.sampled_from([1j, 2 - 1j])


@st.composite
def trees(draw, rows=None, columns=None, depth=4, scalars=SCALARS):
    """An operator and its matrix: a leaf, or one of the ways to make operators of operators."""
    rows = draw(st.sampled_from(SIZES)) if rows is None else rows
    columns = draw(st.sampled_from(SIZES)) if columns is None else columns

    def tree(rows, columns):
        return draw(trees(rows, columns, depth - 1, scalars))

    leaves = ["dense", "sampler.H", "sampler", "solver", "pylops"]
    kind = draw(st.sampled_from(leaves if depth == 0 else [
        *leaves, "product", "product", "product", "sum", "difference", "scaled", "scaled right", "negative", "adjoint",
        "transpose", "power", "compose",
    ]))  # fmt: skip
    if kind in leaves:
        M = matrix(rows, columns, draw(st.integers(0, 99)))
        match kind:
            case "pylops":
                return pylops.MatrixMult(M), M
            case "sampler.H":
                return Sampler(M.T).H, M
            case "sampler":
                return Sampler(M), M
            case "solver":
                return Solver(M), M
        return Dense(M), M
    if kind == "product":
        inner = draw(st.sampled_from(SIZES))
        (a, A), (b, B) = tree(rows, inner), tree(inner, columns)
        return (a @ b if draw(st.booleans()) else a * b), A @ B
    if kind in ("adjoint", "transpose"):
        a, A = tree(columns, rows)
        return (a.H, A.conj().T) if kind == "adjoint" else (a.T, A.T)
    if kind == "power":
        if rows != columns:
            return tree(rows, columns)
        a, A = tree(rows, rows)
        return a**2, A @ A
    a, A = tree(rows, columns)
    s = draw(scalars)
    match kind:
        case "sum":
            b, B = tree(rows, columns)
            return a + b, A + B
        case "difference":
            b, B = tree(rows, columns)
            return a - b, A - B
        case "scaled":
            return s * a, s * A
        case "scaled right":
            return a * s, A * s
        case "negative":
            return -a, -A
        case _:
            return compose(a), A


def assert_equals(op, M):
    size = max(1, np.abs(M).max())
    assert op.shape == M.shape
    x, y = np.arange(1.0, M.shape[1] + 1), np.arange(1.0, M.shape[0] + 1)
    X = np.stack([x, -x[::-1]], axis=1)
    assert np.abs(op @ x - M @ x).max() <= EXACT * size * 10
    assert np.abs(op.H @ y - M.conj().T @ y).max() <= EXACT * size * 10
    assert np.abs(op @ X - M @ X).max() <= EXACT * size * 10
    assert np.abs(dense(op) - M).max() <= EXACT * size


@given(trees())
def test_trees(tree):
    assert_equals(*tree)


@given(trees())
def test_composed_trees(tree):
    op, M = tree
    composed = compose(op)
    assert_equals(composed, M)
    assert_equals(composed.H, M.conj().T)
    assert_equals(composed.H.H, M)
    assert_equals(composed.T, M.T)
    with so.no_fusion():
        assert_equals(composed, M)


@given(trees(scalars=COMPLEX))
def test_complex_trees(tree):
    op, M = tree
    composed = compose(op)
    assert_equals(composed, M)
    assert_equals(composed.H, M.conj().T)
    assert_equals(composed.T, M.T)


@given(trees())
def test_products_of_composed_trees_are_flat(tree):
    op, _ = tree
    composed = compose(op @ op.H)
    for node in nodes(composed):
        if isinstance(node, Chain):
            assert not any(isinstance(f, Chain) for f in node.factors)
        if isinstance(node, Sum):
            assert not any(isinstance(t, Sum) for t in node.terms)
        if isinstance(node, Adjoint):
            assert not isinstance(node.op, (Chain, Sum, Adjoint))


def nodes(op):
    yield op
    for part in (*getattr(op, "factors", ()), *getattr(op, "terms", ())):
        yield from nodes(part)


# ---------------------------------------------------------------------- fusion of anything that samples and propagates


def test_fuse_asks_two_questions():
    R, S, A, D = Sampler(matrix(2, 3, 1)), Sampler(matrix(2, 3, 2)), Solver(matrix(3, 3, 3)), Dense(matrix(3, 3, 4))
    words = {
        (R, A, S.H): ["fused"],
        (A, S.H): ["fused"],
        (R, A): ["fused"],
        (A,): ["fused"],
        (R, A.H, S.H): ["fused"],
        (D, A, D): ["D", "fused", "D"],
        (R, A, A, S.H): ["fused", "fused"],
        (R, D, A, S.H): ["D", "D", "fused"],
        (R, A, D, S.H): ["fused", "D", "D.H"],
        (R, S.H): ["D", "D.H"],
        (S.H, R, A, S.H, R): ["D.H", "fused", "D"],
    }
    for factors, expected in words.items():
        fused = fuse(factors)
        assert [f.sentence for f in fused] == expected
        product = np.linalg.multi_dot([dense(f) for f in factors]) if len(factors) > 1 else dense(factors[0])
        assert np.array_equal(dense(Chain(fused)), product)


# ---------------------------------------------------------------------- the spellings of a product


@pytest.fixture(scope="module")
def survey():
    model = so.Model(v=np.full((21, 21), 2.0), spacing=10)
    src = so.Geometry([[[55.5, 44.4]], [[66.6, 77.7]]], dt=2, t=100)
    rec = so.Geometry([[[51.5, 41.4], [88.8, 99.9]]] * 2, dt=2, t=100)
    return so.Projection(model, rec), so.Modeling(model, rec), so.Projection(model, src)


def spellings(Pr, A, Ps):
    """Every way to write a multiple of F, with the scalar."""
    F = Pr @ A @ Ps.H
    return {
        "Pr @ A @ Ps.H": (F, 1),
        "(Pr @ A) @ Ps.H": ((Pr @ A) @ Ps.H, 1),
        "Pr @ (A @ Ps.H)": (Pr @ (A @ Ps.H), 1),
        "Pr * A * Ps.H": (Pr * A * Ps.H, 1),
        "Pr.dot(A).dot(Ps.H)": (Pr.dot(A).dot(Ps.H), 1),
        "2 * Pr @ A @ Ps.H": (2 * Pr @ A @ Ps.H, 2),
        "Pr @ (2 * A) @ Ps.H": (Pr @ (2 * A) @ Ps.H, 2),
        "2 * (Pr @ (3 * A)) @ (Ps.H * 0.5)": (2 * (Pr @ (3 * A)) @ (Ps.H * 0.5), 3),
        "F * 2": (F * 2, 2),
        "np.float32(2) * F": (np.float32(2) * F, 2),
        "-F": (-F, -1),
        "(-F) * -1": ((-F) * -1, 1),
        "F.H.H": (F.H.H, 1),
        "(Ps @ A.H @ Pr.H).H": ((Ps @ A.H @ Pr.H).H, 1),
        "F.T.T": (F.T.T, 1),
        "compose(F)": (compose(F), 1),
    }


def test_spellings(survey):
    Pr, A, Ps = survey
    for words, (op, scale) in spellings(*survey).items():
        op = compose(op)
        assert op.factors == (Pr, A, op.factors[-1]), words
        assert op.factors[-1].op is Ps, words
        assert op.scale == scale, words
        assert [type(f) for f in op.fused] == [so.Propagation], words
        assert op.dtype == np.float32, words


def test_spellings_of_the_adjoint(survey):
    Pr, A, Ps = survey
    F = Pr @ A @ Ps.H
    for op in (F.H, Ps @ A.H @ Pr.H, (A @ Ps.H).H @ Pr.H, Ps @ (Pr @ A).H, F.T):
        assert [type(f) for f in op.fused] == [so.Propagation]
        assert op.fused[0].adjoint_time
        assert (op.fused[0].left, op.fused[0].right) == (Ps, Pr)


def test_pylops_nodes_are_read_through(survey):
    Pr, A, Ps = survey
    F = Pr @ A @ Ps.H
    M = pylops.Diagonal(np.ones(F.shape[0], "float32"), dtype="float32")
    N = pylops.Diagonal(np.ones(F.shape[1], "float32"), dtype="float32")
    G = pylops.MatrixMult(np.ones((F.shape[0], F.shape[1]), "float32"), dtype="float32")
    D, P = "Diagonal", "Pr @ A @ Ps.H"
    cases = {
        "M @ F": (M @ F, [D, P]),
        "M @ (Pr @ A @ Ps.H)": (M @ (Pr @ A @ Ps.H), [D, P]),
        "M @ Pr @ A @ Ps.H": (M @ Pr @ A @ Ps.H, [D, P]),
        "(M @ Pr) @ (A @ Ps.H)": ((M @ Pr) @ (A @ Ps.H), [D, P]),
        "M @ F @ N": (M @ F @ N, [D, P, D]),
        "F @ N": (F @ N, [P, D]),
        "2 * (M @ F)": (2 * (M @ F), [D, P]),
        "M @ M @ F": (M @ M @ F, ["_ProductLinearOperator", P]),
        "-(M @ F)": (-(M @ F), [D, P]),
        "(M @ F).H.H": ((M @ F).H.H, [None, P]),
        "(F.H @ M).H": ((F.H @ M).H, [None, P]),
        "(F.H @ M @ F) ** 2": ((F.H @ M @ F) ** 2, ["Ps @ A.H @ Pr.H", D, P] * 2),
    }
    for words, (op, expected) in cases.items():
        fused = compose(op).fused
        assert len(fused) == len(expected), words
        for f, e in zip(fused, expected, strict=True):
            assert e is None or (f.sentence if isinstance(f, SeismicOperator) else type(f).__name__) == e, words
    total = compose(G + M @ F)
    assert isinstance(total, Sum)
    assert [type(t) for t in total.terms] == [pylops.MatrixMult, Chain]
    assert [len(t.fused) for t in compose(F + M @ F - 2 * F).terms] == [1, 2, 1]


def test_what_holds_nothing_of_this_library_stays():
    M = pylops.MatrixMult(np.eye(3))
    for op in (M, M @ M, M.H, 2 * M, M + M):
        assert compose(op) is op


def test_every_product_of_the_design(survey):
    Pr, A, Ps = survey
    Pw = so.LRWF(A.model, A.geometry, np.ones(A.geometry.nt))
    products = [Pr @ A @ Ps.H, A @ Ps.H, Pr @ A, A, Pr @ A @ Pw.H, A @ Pw.H, Pw @ A.H @ Pr.H, Pw @ A @ Pw.H, Pw @ A]
    for op in products:
        for P in (op, op.H):
            assert [type(f) for f in fuse(getattr(P, "factors", (P,)))] == [so.Propagation]


def test_sums_of_shaped_and_flat_operators():
    w = world("2d")
    n = w.F.shape[1]
    flat = w.F.H @ w.F + 0.1 * pylops.Identity(n, dtype="float64")
    shaped = w.F.H @ w.F + 0.1 * pylops.Identity(w.F.dims, dtype="float64")
    assert error(flat @ w.q, shaped @ w.q) <= ROUNDING
    assert error(flat.H @ w.q, shaped @ w.q) <= ROUNDING
    assert error(flat.at(m=1.1 * w.model.m) @ w.q.ravel(), (shaped.at(m=1.1 * w.model.m) @ w.q).ravel()) <= ROUNDING
    given, expected = flat.linearize(w.q), shaped.linearize(w.q)
    assert error(given.value, expected.value) <= ROUNDING
    for a, b in zip(given.pull(w.q), expected.pull(w.q), strict=True):
        assert error(a, b) <= ROUNDING


def test_sums_fuse_term_by_term(survey):
    Pr, A, Ps = survey
    F = Pr @ A @ Ps.H
    total = (F + 2 * F) + (F - F.H.H)
    assert [t.scale for t in total.terms] == [1, 2, 1, -1]
    assert all(len(t.fused) == 1 for t in total.terms)
    assert all(len(t.fused) == 1 for t in (total.H).terms)
    assert [len(t.fused) for t in (3 * total).factors[0].terms] == [1] * 4


# ---------------------------------------------------------------------- words


def test_the_sentence(survey):
    Pr, A, Ps = survey
    F = Pr @ A @ Ps.H
    assert repr(F) == "Pr @ A @ Ps.H: (2, 1, 51) -> (2, 2, 51)"
    assert repr(F.H) == "Ps @ A.H @ Pr.H: (2, 2, 51) -> (2, 1, 51)"
    assert repr(2 * F) == "2 * Pr @ A @ Ps.H: (2, 1, 51) -> (2, 2, 51)"
    assert repr(-F) == "-Pr @ A @ Ps.H: (2, 1, 51) -> (2, 2, 51)"
    assert repr(F + F) == "(Pr @ A @ Ps.H + Pr @ A @ Ps.H): (2, 1, 51) -> (2, 2, 51)"
    assert repr(F.jacobian(np.ones(F.dims))) == "Pr @ A @ S.H: (21, 21) -> (2, 2, 51)"
    # By itself a projection is one onto points, wherever it stands: in a product its place says of which.
    assert repr(Ps.H) == "Pr.H: (2, 1, 51) -> (2, 57, 41, 41)"


def test_a_mismatch_names_both():
    a, b = Dense(matrix(2, 3), "one"), Dense(matrix(2, 3), "other")
    M = pylops.MatrixMult(matrix(2, 2))
    with pytest.raises(ValueError, match=re.escape("Cannot multiply one: (3,) -> (2,) by other: (3,) -> (2,)")):
        a @ b
    with pytest.raises(ValueError, match=re.escape("Cannot add one: (3,) -> (2,) and other.H: (2,) -> (3,)")):
        a + b.H
    with pytest.raises(ValueError, match=re.escape("Cannot multiply one: (3,) -> (2,) by MatrixMult: (2,) -> (2,)")):
        a @ M


# What every operator must say.
CONTRACT = {
    "_forward": lambda self, x: x,
    "_transposed": lambda self, y: y,
    "_at": lambda self, model: self,
    "derivative": lambda self, this, tail, x: None,
}


@pytest.mark.parametrize("forgotten", CONTRACT)
def test_an_operator_that_forgets_a_part_of_the_contract_is_not_made(forgotten):
    said = {name: method for name, method in CONTRACT.items() if name != forgotten}
    assert (type("Whole", (SeismicOperator,), CONTRACT)((3,), (3,), float) @ np.ones(3)).sum() == 3
    with pytest.raises(TypeError, match=rf"Half.* abstract method '?{forgotten}"):
        type("Half", (SeismicOperator,), said)((3,), (3,), float)


def test_what_an_operator_lacks_is_said():
    op = Dense(matrix(2, 3))
    for call in (lambda: op[0], lambda: op.shots_in(np.ones(3), 0), lambda: op.shots_out(np.ones(2), 0)):
        with pytest.raises(TypeError, match="has no shots to select"):
            call()


def test_sizes_cannot_be_changed_by_use():
    op = Dense(matrix(2, 3))
    product = op @ op.H
    assert (product.dims, product.dimsd, product.shape) == ((2,), (2,), (2, 2))
    assert (op.H.dims, op.H.dimsd) == (op.dimsd, op.dims)
    assert op.H.H is op


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalars_do_not_promote(dtype):
    op = Dense(matrix(2, 3).astype(dtype))
    x = np.ones(3, dtype)
    for scaled in (2 * op, op * 2.5, np.float64(2) * op, -op, op + 2 * op):
        assert scaled.dtype == dtype
        assert (scaled @ x).dtype == dtype


def test_complex_scalars():
    M = matrix(2, 3)
    op = (2 - 1j) * Dense(M)
    assert op.dtype == np.complex128
    assert np.array_equal(dense(op), (2 - 1j) * M)
    assert np.array_equal(dense(op.H), (2 + 1j) * M.T)
    assert np.array_equal(dense(op.T), (2 - 1j) * M.T)


def test_transposes_of_complex_operators_are_not_conjugated():
    w = world("2d")
    C = (1 + 2j) * w.F
    for op in (C.configured(reproducible=True), so.aperture(C, 1e4)):
        assert np.allclose(op.T @ w.d, C.T @ w.d, rtol=ROUNDING, atol=0)
        assert np.allclose(op.conj() @ w.q, C.conj() @ w.q, rtol=ROUNDING, atol=0)


def test_pull_of_complex_operators():
    w = world("2d")
    D = pylops.Diagonal(np.exp(1j * np.arange(w.F.shape[1])).reshape(w.F.dims), dtype="complex128")
    for op in ((1 + 1j) * w.F, w.F + 1j * w.F2, (1j * w.F).configured(reproducible=True), w.F @ D):
        linearization = op.linearize(w.q)
        gx, gm = linearization.pull(w.d)
        for found, expected in (
            (linearization.value, op @ w.q), (gx, op.H @ w.d), (gm, linearization.J.H @ w.d),
            (linearization.J @ w.dm, op.jacobian(w.q) @ w.dm),
        ):  # fmt: skip
            assert np.linalg.norm(found - expected) <= ROUNDING * np.linalg.norm(expected)


# Whatever takes an array to be used later: the array, what is made of it, and its use.
HANDED = {
    "Model v": (lambda w: w.model.v, lambda w, v: so.Model(v=v, spacing=10, dtype="float64"), lambda w, t: t.m),
    "Model m": (lambda w: w.model.m, lambda w, m: so.Model(m=m, spacing=10, dtype="float64"), lambda w, t: t.m),
    "at": (lambda w: 1.1 * w.model.m, lambda w, m: w.F.at(m=m), lambda w, t: t @ w.q),
    "Geometry": (
        lambda w: np.stack(w.rec.positions),
        lambda w, x: so.Geometry(x, dt=w.rec.dt, t=w.t),
        lambda w, t: w.samplers(t) @ w.q,
    ),
    "LRWF": (
        lambda w: random((2, w.rec.nt)),
        lambda w, q: w.Pr @ w.A @ so.LRWF(w.model, w.rec, q).H,
        lambda w, t: t.at(m=w.model.m)[0] @ w.w[0],
    ),
    "Encoding": (lambda w: random((1, 2)), lambda w, x: so.Encoding(x), lambda w, t: t.sources(w.F) @ w.q),
    "Frequencies": (
        lambda w: np.array([0.01, 0.02]),
        lambda w, f: so.storage.Frequencies(f),
        lambda w, t: np.array(t.f),
    ),
    "top_mute": (
        lambda w: np.linspace(30, 60, 25),
        lambda w, x: so.preconditioners.top_mute(w.model, x),
        lambda w, t: t @ w.dm,
    ),
    "band_pass": (
        lambda w: np.array([0.01, 0.02, 0.05, 0.07]),
        lambda w, f: so.preconditioners.band_pass(w.rec, f, dtype="float64"),
        lambda w, t: t @ w.d,
    ),
    "linearize": (lambda w: w.q, lambda w, q: w.F.linearize(q), lambda w, t: t.pull(w.d)[1]),
    "hessian": (
        lambda w: w.d,
        lambda w, d: so.hessian(w.F, w.q, d, misfit=so.misfits.Envelope()),
        lambda w, t: t @ w.dm,
    ),
    "Scattering of whole numbers": (
        lambda w: np.rint(10 * random(w.A.dims)).astype(int),
        lambda w, u: so.Scattering(w.model, w.rec, None, u),
        lambda w, t: t.H @ w.dm,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED)
def test_arrays_handed_over_are_copied(name):
    """Those that no entry of the zoo takes."""
    w = world("2d")
    array, make, use = HANDED[name]
    expected = use(w, make(w, array(w)))
    handed = array(w).copy()
    thing = make(w, handed)
    handed[...] = 3
    assert np.any(expected)
    assert np.array_equal(use(w, thing), expected)


@pytest.mark.parametrize("dtype", [int, np.float16])
def test_a_background_of_other_types(dtype):
    w = world("2d")
    u = np.rint(10 * random(w.A.dims)).astype(dtype)
    exact = so.Scattering(w.model, w.rec, None, u.astype(float)).H @ w.dm
    assert error(so.Scattering(w.model, w.rec, None, u).H @ w.dm, exact) <= ROUNDING


def test_division():
    w = world("2d")
    assert error((w.F / 4) @ w.q, 0.25 * (w.F @ w.q)) <= ROUNDING
    assert (w.F / np.float32(4)).dtype == w.F.dtype
    D = so.compose(pylops.Identity(3) @ Dense(np.diag([1.0, 2.0, 4.0])))
    # By data PyLops solves.
    assert error(D / np.array([1.0, 2.0, 4.0]), np.ones(3)) <= ROUNDING


def test_shots_by_tuple():
    w = world("2d")
    K = w.E.jacobian(w.w)
    assert np.array_equal(K[(1, 0)] @ w.dm, K[[1, 0]] @ w.dm)


def test_a_real_operator_of_pylops_takes_complex_wavefields_whole():
    w = world("2d")
    phase = pylops.Diagonal(np.exp(1j * random(w.F.shape[0])), dtype="complex128")
    rotated = phase @ (w.F @ w.q).ravel()
    op = so.compose(w.M @ so.compose(phase @ w.F))
    expected = w.M @ rotated.real + 1j * (w.M @ rotated.imag)
    assert error(np.abs(op @ w.q.ravel() - expected) + 1, np.ones(len(expected))) <= ROUNDING
    assert checks.dot_test(op, verbose=False) <= DOT["float64"]


def test_scalars_of_small_types_do_not_overflow():
    F, x = operator("Pr A Ps.H"), random(operator("Pr A Ps.H").dims)
    assert error((np.int8(17) * (np.int8(17) * F)) @ x, 289 * (F @ x)) <= ROUNDING
    assert error((F / np.int8(3)) @ x, (F @ x) / 3) <= ROUNDING
    a, b = np.float32(0.1), np.float32(0.3)
    assert error((a * (b * F)) @ x, float(a) * float(b) * (F @ x)) <= ROUNDING
    for product in (lambda: F * "2", lambda: "2" * F):
        with pytest.raises(TypeError, match="multiplied by numbers, arrays and operators, not by '2'"):
            product()
