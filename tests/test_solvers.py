"""Operators in the solvers and block operators of PyLops and SciPy."""

import numpy as np
import pylops
import pytest
from pylops.optimization.sparsity import fista
from scipy.sparse.linalg import aslinearoperator, lsqr
from zoo import DOT, ROUNDING, error, operator, random

import seisops as so
from seisops import checks

SOLVED = ["J of F", "Pr A Pw.H", "Pr A Ps.H", "F + F2", "M F", "F ragged", "J of E", "F[1]"]


def problem(name):
    """A consistent system: an operator and data it explains."""
    op = operator(name)
    return op, op @ random(op.dims, 7)


def residual(op, x, d):
    return np.linalg.norm(op.matvec(np.ravel(x)) - d.ravel()) / np.linalg.norm(d)


@pytest.mark.parametrize("name", SOLVED)
def test_cgls(name):
    op, d = problem(name)
    x, *_, cost = pylops.cgls(op, d.ravel(), niter=15, tol=0)
    assert x.size == op.shape[1]
    # CGLS never increases the residual, and fifteen steps of it reduce one of white noise by half at least.
    assert np.all(np.diff(cost) <= 1e-10 * cost[0])
    assert residual(op, x, d) < 0.5


@pytest.mark.parametrize("name", SOLVED)
def test_lsqr_of_scipy(name):
    op, d = problem(name)
    x, _, iterations, norm, *_ = lsqr(op, d.ravel(), iter_lim=15)
    assert iterations == 15
    assert residual(op, x, d) == pytest.approx(norm / np.linalg.norm(d), rel=1e-6)
    assert residual(op, x, d) < 0.5


@pytest.mark.parametrize("name", ["J of F", "Pr A Pw.H"])
def test_fista(name):
    op, d = problem(name)
    v = random(op.shape[1], 8)
    for _ in range(20):
        v = op.rmatvec(op.matvec(v / np.linalg.norm(v)))
    x, _, cost = fista(op, d.ravel(), niter=20, eps=1e-6, alpha=0.9 / np.linalg.norm(v))
    assert residual(op, x, d) < 0.7
    assert cost[-1] < cost[0]


def test_solvers_agree():
    op, d = problem("J of F")
    x = pylops.cgls(op, d.ravel(), niter=3, tol=0)[0]
    y = lsqr(op, d.ravel(), iter_lim=3)[0]
    # The same Krylov space by two recursions.
    assert error(np.ravel(x), y) <= 1e-8


def test_a_solver_takes_shaped_data():
    op, d = problem("Pr A Pw.H")
    x = pylops.cgls(op, d, niter=3)[0]
    assert x.shape == op.dims


def test_preconditioned_and_regularised():
    J, d = problem("J of F")
    P = pylops.Diagonal(np.linspace(1, 2, J.shape[1]), dtype="float64")
    x = pylops.optimization.leastsquares.preconditioned_inversion(J, d.ravel(), P, iter_lim=15)[0]
    assert residual(J, x, d) < 0.5
    D = pylops.Laplacian(J.dims, dtype="float64")
    x = pylops.optimization.leastsquares.regularized_inversion(J, d.ravel(), [D], epsRs=[1e-9], iter_lim=15)[0]
    assert residual(J, x, d) < 0.6


# ---------------------------------------------------------------------- blocks


def blocks():
    F, E, J = operator("Pr A Ps.H"), operator("Pr A Pw.H"), operator("J of F")
    V = pylops.VStack([F, operator("F ragged")])
    H = pylops.HStack([F, E])
    return {
        "VStack": (V, lambda x: np.concatenate([F.matvec(x), operator("F ragged").matvec(x)])),
        "HStack": (H, lambda x: F.matvec(x[: F.shape[1]]) + E.matvec(x[F.shape[1] :])),
        "BlockDiag": (
            pylops.BlockDiag([F, J]),
            lambda x: np.concatenate([F.matvec(x[: F.shape[1]]), J.matvec(x[F.shape[1] :])]),
        ),
        "Block": (
            pylops.Block([[F, E], [2 * F, -E]]),
            lambda x: np.concatenate(
                [
                    F.matvec(x[: F.shape[1]]) + E.matvec(x[F.shape[1] :]),
                    2 * F.matvec(x[: F.shape[1]]) - E.matvec(x[F.shape[1] :]),
                ]
            ),
        ),
    }


@pytest.mark.parametrize("name", ["VStack", "HStack", "BlockDiag", "Block"])
def test_blocks(name):
    op, expected = blocks()[name]
    x = random(op.shape[1], 3)
    assert error(op.matvec(x), expected(x)) <= ROUNDING
    assert checks.dot_test(op, verbose=False) <= DOT["float64"]
    d = op.matvec(x)
    assert residual(op, pylops.cgls(op, d, niter=10, tol=0)[0], d) < 0.7


def test_the_rows_of_a_stack_are_shots():
    F = operator("Pr A Ps.H")
    x = random(F.dims)
    stack = pylops.BlockDiag([F[0], F[1]])
    assert error(stack.matvec(x.ravel()), F.matvec(x.ravel())) <= ROUNDING


def test_inside_pylops_products():
    F, M = operator("Pr A Ps.H"), pylops.FirstDerivative((2, 3, 61), axis=-1, dtype="float64")
    x = random(F.dims)
    for op in (M @ F, (M @ F).H.H, M @ F + M @ F, pylops.Identity(F.shape[0]) @ F, (M @ F).T.T):
        assert checks.dot_test(op, verbose=False) <= DOT["float64"]
        assert error(so.compose(op).matvec(x.ravel()), op.matvec(x.ravel())) <= ROUNDING


def test_as_a_scipy_operator():
    F = operator("Pr A Ps.H")
    x = random(F.shape[1])
    assert error(aslinearoperator(F).matvec(x), F.matvec(x)) == 0
    assert error(aslinearoperator(F).rmatvec(F.matvec(x)), F.rmatvec(F.matvec(x))) == 0
