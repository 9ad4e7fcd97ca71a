"""What a layer must do with its operator, told without any framework: each adapter's `check` runs it in its own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.algebra import SeismicOperator, describe
from seisops.arrays import real_type
from seisops.bridge.calculus import jacobian
from seisops.bridge.parameters import at_model
from seisops.bridge.stacked import Stacked, model_of
from seisops.checks import dot_test

Cell = tuple[str, Callable[[], float]]


@dataclass(frozen=True)
class Framework:
    """What the suite needs of a framework.

    Attributes
    ----------
    run : callable
        ``run(f, *arrays)``: `f` of the arrays as tensors; its result, or each of its results, as an array.
    gradient : callable
        ``gradient(f, *tensors)``: of a real scalar function with respect to every tensor, differentiable again.
    tensor : callable
        A constant tensor of an array.
    inner : callable
        ``inner(w, y)``: the real part of the inner product.
    jvp : callable
        ``jvp(layer, x, dx, m, dm)``: the derivative of ``layer(x, m)`` along dx and dm, None standing for zero.
    """

    run: Callable
    gradient: Callable
    tensor: Callable
    inner: Callable
    jvp: Callable


@dataclass(frozen=True)
class Transforms:
    """Of frameworks that take functions to functions.

    Attributes
    ----------
    grad : callable
        ``grad(f)``: the gradient of a real function of a real tensor.
    jvp : callable
        ``jvp(f, at, along)``: the values of `f` and its derivative, `at` and `along` being tuples of tensors.
    vmap : callable
        ``vmap(f, in_axes)``, None being the axis of what is shared.
    checkpoint : callable
        ``checkpoint(f)``: `f`, run again for its backward.
    """

    grad: Callable
    jvp: Callable
    vmap: Callable
    checkpoint: Callable

    def along(self, layer, x, dx, m, dm):
        """The ``jvp`` of a :class:`Framework`."""
        given = [(a, da) for a, da in ((x, dx), (m, dm)) if da is not None]

        def f(*at):
            rest = iter(at)
            return layer(x if dx is None else next(rest), m if dm is None else next(rest))

        return self.jvp(f, *(tuple(t) for t in zip(*given, strict=True)))[1]


def report(op: LinearOperator, cells: Iterable[Cell], *, verbose: bool = True) -> dict[str, float]:
    """Run the cells of a suite, the operator's dot test first, and print their table.

    Parameters
    ----------
    op : LinearOperator
        Whose layer it is.
    cells : iterable of (name, function that returns a relative error)
    verbose : bool
        Print the table.

    Returns
    -------
    dict of name to relative error
    """
    results = {"dot test of the operator": dot_test(op, verbose=False)}
    results |= {name: float(error()) for name, error in cells}
    if verbose:
        print(f"conformance of {describe(op)}")
        for name, error in results.items():
            print(f"  {name:55} {error:8.1e}")
    return results


def random(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """Normally distributed values, complex ones where the dtype is."""
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.issubdtype(dtype, np.complexfloating) else x).astype(dtype)


def relative_error(value: ArrayLike, expected: ArrayLike) -> float:
    """``|value - expected| / |expected|``, of as many numbers each."""
    value, expected = np.ravel(value), np.ravel(expected)
    if value.size != expected.size:
        return float("inf")
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


def varies(op: LinearOperator) -> bool:
    """Whether an operator depends on a model."""
    return isinstance(op, SeismicOperator) and jacobian(op, np.ones(op.dims, real_type(op.dtype))) is not None


def cells(layer: Any, framework: Framework, rng: np.random.Generator) -> Iterator[Cell]:
    """The value, the derivatives and the batch axes of a layer, against its operator.

    Parameters
    ----------
    layer : with `op`, `H`, and ``layer(x, m=None)``
    framework : Framework
    rng : numpy.random.Generator

    Yields
    ------
    name, function that returns a relative error
    """
    op, run, inner = layer.op, framework.run, framework.inner
    x, y = random(rng, op.dims, op.dtype), random(rng, op.dimsd, op.dtype)
    batch = random(rng, (2, 1, *op.dims), op.dtype)
    w = framework.tensor(y)

    def gradient(loss, *at):
        return run(lambda *tensors: framework.gradient(loss, *tensors), *at)

    def hessian(loss, at, direction):
        def along(a):
            return inner(framework.tensor(direction), framework.gradient(loss, a)[0])

        return gradient(along, at)[0]

    def squares(a):
        return inner(layer(a), layer(a)) + inner(a, a)

    forward, adjoint = op.matvec, op.rmatvec
    back = adjoint(y.ravel())
    yield "value", lambda: relative_error(run(layer, x), forward(x.ravel()))
    yield "value of layer.H", lambda: relative_error(run(layer.H, y), back)
    one_by_one = np.stack([forward(b.ravel()) for b in batch])
    yield "batch and channel axes", lambda: relative_error(run(layer, batch), one_by_one)
    yield "gradient in x is the adjoint", lambda: relative_error(gradient(lambda a: inner(w, layer(a)), x)[0], back)
    yield (
        "a scaled loss scales the gradient",
        lambda: relative_error(gradient(lambda a: 10 * inner(w, layer(a)), x)[0], 10 * back),
    )
    yield (
        "forward mode",
        lambda: relative_error(run(lambda a: framework.jvp(layer, a, 2 * a, None, None), x), 2 * forward(x.ravel())),
    )
    yield (
        "Hessian of |op x|² + |x|²",
        lambda: relative_error(hessian(squares, x, x), 2 * adjoint(forward(x.ravel())) + 2 * x.ravel()),
    )
    if varies(op):
        yield from _model_cells(Stacked(layer), framework, rng, gradient, hessian, x, y, batch[:, 0])


def _model_cells(layer, framework, rng, gradient, hessian, x, y, batch) -> Iterator[Cell]:
    op, run, inner = layer.op, framework.run, framework.inner
    m, dm = model_of(op, rng)
    other = at_model(op, m + dm)
    J = jacobian(op, x)
    back, migration = op.rmatvec(y.ravel()), _migrated(J, y)
    at, w = framework.tensor(x), framework.tensor(y)

    def loss(a, b):
        return inner(w, layer(a, b))

    def shared(b):
        return inner(framework.tensor(np.stack([y, 2 * y])), layer(framework.tensor(batch), b))

    yield (
        "value in another model",
        lambda: relative_error(run(lambda a, b: layer(a, b), x, m + dm), other.matvec(x.ravel())),
    )
    yield "gradient in m is the migration", lambda: relative_error(gradient(lambda b: loss(at, b), m)[0], migration)
    yield "gradient in x beside that in m", lambda: relative_error(gradient(loss, x, m)[0], back)
    yield "gradient in m beside that in x", lambda: relative_error(gradient(loss, x, m)[1], migration)
    yield (
        "forward mode in m",
        lambda: relative_error(
            run(lambda a, b, c: framework.jvp(layer, a, None, b, c), x, m, dm), J.matvec(dm.ravel())
        ),
    )
    yield (
        "Hessian in m, reverse over reverse",
        lambda: relative_error(hessian(lambda b: loss(at, b), m, dm), _migrated(jacobian(J, dm), y)),
    )
    yield (
        "two models forward before either backward",
        lambda: relative_error(
            np.stack(gradient(lambda b, c: loss(at, b) + loss(at, c), m, m + dm)),
            np.stack([migration, _migrated(jacobian(other, x), y)]),
        ),
    )
    yield (
        "a model for every sample",
        lambda: relative_error(
            run(lambda a, b: layer(a, b), batch, np.stack([m, m + dm])),
            np.stack([op.matvec(batch[0].ravel()), other.matvec(batch[1].ravel())]),
        ),
    )
    yield (
        "a shared model gets the summed gradient",
        lambda: relative_error(
            gradient(shared, m)[0],
            sum(_migrated(jacobian(op, a), k * y) for k, a in ((1, batch[0]), (2, batch[1]))),
        ),
    )


def transformed(layer: Any, framework: Framework, transforms: Transforms, rng: np.random.Generator) -> Iterator[Cell]:
    """Copies of a layer, and its derivatives and batches by functions of functions, against its operator.

    Parameters
    ----------
    layer, framework, rng
        See :func:`cells`.
    transforms : Transforms
    """
    op, run, inner = layer.op, framework.run, framework.inner
    x, y = random(rng, op.dims, op.dtype), random(rng, op.dimsd, op.dtype)
    w, twice = framework.tensor(y), np.stack([x, 2 * x])
    value, back = op.matvec(x.ravel()), op.rmatvec(y.ravel())

    def adjoint_through(f):
        """Whether the gradient of `f`, in place of the layer, is the adjoint."""
        (gradient,) = run(lambda a: framework.gradient(lambda b: inner(w, f(b)), a), x)
        return relative_error(gradient, back)

    yield "vmap", lambda: relative_error(run(transforms.vmap(layer, 0), twice), np.stack([value, 2 * value]))
    yield "checkpoint", lambda: adjoint_through(transforms.checkpoint(layer))
    yield "pickle", lambda: adjoint_through(pickle.loads(pickle.dumps(layer)))
    yield "deepcopy", lambda: adjoint_through(copy.deepcopy(layer))
    if not varies(op):
        return
    layer, (m, dm) = Stacked(layer), model_of(op, rng)
    J, at, along = jacobian(op, x), framework.tensor(x), framework.tensor(dm)

    def loss(b, a=at):
        return inner(w, layer(a, b))

    def curved(b):
        return transforms.jvp(transforms.grad(loss), (b,), (along,))[1]

    yield (
        "Hessian in m, forward over reverse",
        lambda: relative_error(run(curved, m), _migrated(jacobian(J, dm), y)),
    )
    yield (
        "vmap of grad gives it per sample",
        lambda: relative_error(
            run(transforms.vmap(transforms.grad(loss), (None, 0)), m, twice),
            np.stack([k * _migrated(J, y) for k in (1, 2)]),
        ),
    )


def _migrated(J: LinearOperator, y: NDArray) -> NDArray:
    """The adjoint of a derivative in a real model."""
    return J.rmatvec(y.ravel()).real
