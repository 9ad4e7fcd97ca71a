"""Every operator of the zoo obeys every law."""

import pickle

import numpy as np
import pytest
from pylops.utils import dottest
from zoo import (
    DOT,
    FEW,
    IMAGES,
    KINDS,
    LISTED,
    NAMES,
    ROUNDING,
    ZOO,
    World,
    error,
    foreign,
    operator,
    random,
    shortened,
    world,
)

import seisops as so
from seisops import checks

every = pytest.mark.parametrize("name", NAMES)


@every
def test_adjoint(name):
    assert checks.dot_test(operator(name), verbose=False) <= DOT["float64"]


# Each of these worlds has kernels of its own, which are slow to build in three dimensions above all.
WORLDS = [
    *((n, kind) for kind in ("2d-float32", "surface") for n in [*LISTED, *IMAGES]),
    *((n, kind) for kind in ("thin", "3d") for n in FEW),
    ("J of F", "surface-float32"),
    ("J of F by offset along axis 1", "3d"),
    ("J of F", "3d-float32"),
]
SHORT = [(n, kind) for kind in ("2d-float32", "surface", "thin", "3d") for n in ("Pr A Ps.H", "J of F")]


@pytest.mark.parametrize("name, kind", shortened(WORLDS, SHORT))
def test_adjoint_in_other_worlds(name, kind):
    op = operator(name, kind)
    assert checks.dot_test(op, verbose=False) <= DOT[op.dtype.name]


@pytest.mark.parametrize("order", [2, *(pytest.param(order, marks=pytest.mark.long) for order in (6, 10))])
def test_adjoint_of_every_order(order):
    w = World(**KINDS["2d"], space_order=order)
    for op in (w.F, w.J):
        assert checks.dot_test(op, verbose=False) <= DOT["float64"]


@every
def test_linearity(name):
    assert checks.linearity(operator(name), verbose=False) <= ROUNDING


@every
def test_adjoint_of_the_adjoint(name):
    op = operator(name)
    x = random(op.dims)
    twice = op.H.H
    assert twice is op or error(twice @ x, op @ x) <= ROUNDING
    assert (twice.dims, twice.dimsd) == (op.dims, op.dimsd)
    if not foreign(name):
        assert repr(twice) == repr(op)


@every
def test_the_model_is_the_one_it_is_in(name):
    op = operator(name)
    x = random(op.dims)
    if op.model is not None:
        assert np.array_equal(op.at(m=op.model.m) @ x, op @ x)


@every
def test_pickle(name):
    op = operator(name)
    x = random(op.dims)
    again = pickle.loads(pickle.dumps(op))
    assert repr(again) == repr(op)
    assert error(again @ x, op @ x) <= ROUNDING
    assert error(again.H @ random(op.dimsd), op.H @ random(op.dimsd)) <= ROUNDING


@every
def test_shaped_and_flat_input(name):
    op = operator(name)
    x = random(op.dims)
    shaped, flat = op @ x, op @ x.ravel()
    assert shaped.shape == op.dimsd
    assert len(op.dims) == 1 or flat.shape == (op.shape[0],)
    assert np.array_equal(shaped.ravel(), flat.ravel())
    assert np.array_equal(op.matvec(x.ravel()), flat.ravel())
    if x.ndim > 1:
        # A leading axis of one, as frameworks add for a batch or a channel.
        assert np.array_equal(op @ x[None], shaped[None])


@every
def test_columns(name):
    op = operator(name)
    X = random((op.shape[1], 2))
    expected = np.stack([op.matvec(X[:, 0]), op.matvec(X[:, 1])], axis=1)
    assert error((op @ X).reshape(expected.shape), expected) <= ROUNDING


@every
def test_input_of_other_types(name):
    op = operator(name)
    x = random(op.dims).astype(np.float32)
    exact = op @ x.astype(np.float64)
    assert exact.dtype == np.float64
    # The operator computes in its own precision, whatever it is given: nothing is lost but the order of sums.
    assert error(op @ x, exact) <= ROUNDING
    assert error(op @ x.tolist(), exact) <= ROUNDING
    assert error(op @ np.asfortranarray(x), exact) <= ROUNDING
    whole = np.rint(10 * x).astype(np.int64)
    assert error(op @ whole, op @ whole.astype(np.float64)) <= ROUNDING


@every
def test_complex_input(name):
    op = operator(name)
    x, y = random(op.dims, 1), random(op.dims, 2)
    z = op @ (x + 1j * y)
    assert error(z.real, op @ x) <= ROUNDING
    assert error(z.imag, op @ y) <= ROUNDING


@pytest.mark.parametrize("name", ZOO)
def test_arrays_of_the_user_are_copied(name):
    w = World(**KINDS["2d"])
    op = ZOO[name](w)
    # Before it is used for the first time.
    for array in vars(w).values():
        if isinstance(array, np.ndarray):
            array[...] = 7
    x = random(op.dims)
    assert error(op @ x, operator(name) @ x) <= ROUNDING


@every
def test_the_input_is_left_alone(name):
    op = operator(name)
    x = random(op.dims)
    kept = x.copy()
    first = op @ x
    result = first.copy()
    _ = op @ random(op.dims, 9)
    assert np.array_equal(x, kept)
    assert np.array_equal(first, result)


# A shot by itself, a stack, what is the same for all shots, and a product that adds up shots on its way, have none to
# select.
WITHOUT = ("F[1]", "Jh Jh.H", "Stack", "BlockDiag", "W")
SHOTWISE = [
    n
    for n in NAMES
    if not foreign(n) and not any(part in n for part in WITHOUT) and n.strip("()H.") not in ("L", "m", "m of z")
]


@pytest.mark.parametrize("index", [1, [1, 0], slice(0, 2)], ids=str)
@pytest.mark.parametrize("name", SHOTWISE)
def test_shots(name, index):
    op = operator(name)
    x = random(op.dims)
    y, part = op @ x, op[index]
    given = op.shots_in(x, index)
    shape = world("2d").model.shape
    # Of all shots: images, and those by offset.
    joint = (shape, (5, *shape))
    if "ragged" not in name:
        assert np.array_equal(given, x if op.dims in joint else x[index])
    assert part.dims == given.shape
    result = part @ given
    if op.dimsd in joint:
        # An image is a sum over shots.
        chosen = np.atleast_1d(np.arange(2)[index])
        assert error(result, sum(op[[int(i)]] @ op.shots_in(x, [int(i)]) for i in chosen)) <= ROUNDING
        total = sum(op[[i]] @ op.shots_in(x, [i]) for i in range(2))
        assert error(total, y) <= ROUNDING
    else:
        expected = op.shots_out(y, index)
        if "ragged" not in name:
            assert np.array_equal(expected, y[index])
        assert error(result, expected) <= ROUNDING


@pytest.mark.parametrize("name", ["VStack", "HStack", "BlockDiag", "J of VStack"])
def test_shots_of_a_stack_are_those_of_its_operators(name):
    with pytest.raises(TypeError, match=r"Cannot select shots of a stack of operators: stack those of the shots"):
        operator(name)[0]


@pytest.mark.parametrize("name", [name for name in NAMES if foreign(name)])
def test_shots_of_a_foreign_factor_are_unknown(name):
    with pytest.raises(TypeError, match=r"(FirstDerivative|Diagonal|Adjoint).* does not say what a shot is"):
        operator(name)[0]


@every
def test_fused_equals_unfused(name):
    op = operator(name)
    x = random(op.dims)
    fused = op @ x
    with so.no_fusion():
        assert error(op @ x, fused) <= ROUNDING


def test_pylops_own_dot_test():
    op = operator("Pr A Ps.H")
    assert dottest(op, *op.shape)


# What an operator says of itself: each kind of node once, by the letters of the formulas.
SENTENCES = {
    "Pr": "Pr: (2, 72, 45, 41) -> (2, 3, 61)",
    "(Pw).H": "Pw.H: (2, 25, 21) -> (2, 72, 45, 41)",
    "A": "A: (2, 72, 45, 41) -> (2, 72, 45, 41)",
    "(Pr A Ps.H).H": "Ps @ A.H @ Pr.H: (2, 3, 61) -> (2, 1, 61)",
    "J of F": "Pr @ A @ S.H: (25, 21) -> (2, 3, 61)",
    "J of F ragged": "Pr @ A @ S.H: (25, 21) -> (305,)",
    "J of (J by offset).H": "(Sh @ A @ S.H + Sh @ A.H @ S.H): (25, 21) -> (5, 25, 21)",
    "J of F by inverse scattering": "0.5 * Pr @ A @ C.H @ L: (25, 21) -> (2, 3, 61)",
    "J of J": "(Pr @ A @ S.H + Pr @ A @ V @ A @ S.H): (25, 21) -> (2, 3, 61)",
    "F + 2 F configured": "(Pr @ A @ Ps.H + 2 * (Pr @ A @ Ps.H).configured(reproducible)): (2, 1, 61) -> (2, 3, 61)",
    "J of F within 60 m": "aperture(Pr @ A @ S.H): (25, 21) -> (2, 3, 61)",
    "F[1]": "Pr @ A @ Ps.H: (1, 61) -> (3, 61)",
    "F - 2 F2": "(Pr @ A @ Ps.H + -2 * Pr @ A @ Ps.H): (2, 1, 61) -> (2, 3, 61)",
    "J D": "Pr @ A @ S.H @ Diagonal: (525,) -> (2, 3, 61)",
    "P F": "D @ ReflectionMute @ Pr @ A @ Ps.H: (2, 1, 61) -> (2, 3, 61)",
    "F encoded W": "Pr @ A @ Ps.H @ W: (2, 1, 61) -> (2, 3, 61)",
    "VStack": "(block.H @ Pr @ A @ Ps.H + 2 * block.H @ Pr @ A @ Ps.H): (2, 1, 61) -> (671,)",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence(name):
    assert repr(operator(name)) == SENTENCES[name]
