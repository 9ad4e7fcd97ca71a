"""The conformance suite of a layer, on the user's own operator."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.bridge import conformance
from seisops.bridge.conformance import Cell, Framework, random, relative_error
from seisops_jax.layer import Layer


def check(layer: Layer, *, seed: int = 0, verbose: bool = True) -> dict[str, float]:
    """Whether a layer does with its operator all that JAX may ask of it, at once and compiled.

    Derivatives are compared with the operator's own adjoint and Jacobian; whether the Jacobian is that of
    the operator is for ``seisops.checks.taylor_test`` to say.

    Parameters
    ----------
    layer : Layer
    seed : int
        Of the random arrays.
    verbose : bool
        Print the table.

    Returns
    -------
    dict of name to relative error
        Rounding of the operator's precision where the layer is right, about 1e-14 in float64 and 1e-5 in float32; in
        float64 without ``jax_enable_x64`` about 1e-7.

    Examples
    --------
    >>> import pylops
    >>> errors = check(Layer(pylops.FirstDerivative(7, dtype="float32")), verbose=False)
    >>> max(errors.values()) < 1e-5
    True
    """
    rng = np.random.default_rng(seed)
    return conformance.report(layer.op, _cells(layer, rng), verbose=verbose)


def _run(mode: Callable) -> Callable:
    def run(f: Callable, *arrays: NDArray) -> NDArray | tuple[NDArray, ...]:
        results = mode(f)(*map(jnp.asarray, arrays))
        return np.asarray(results) if isinstance(results, jax.Array) else tuple(np.asarray(r) for r in results)

    return run


def _gradient(f: Callable, *at: jax.Array) -> tuple[jax.Array, ...]:
    """The gradient of a real scalar function as PyTorch and NumPy understand it: the conjugate of JAX's."""
    return tuple(map(jnp.conj, jax.grad(f, tuple(range(len(at))))(*at)))


def _inner(w: jax.Array, y: jax.Array) -> jax.Array:
    """The real part of the inner product."""
    return jnp.real((jnp.conj(w) * y).sum())


def _jvp(layer: Layer, x: jax.Array, dx, m, dm) -> jax.Array:
    given = [(a, da) for a, da in ((x, dx), (m, dm)) if da is not None]

    def f(*at: jax.Array) -> jax.Array:
        rest = iter(at)
        return layer(x if dx is None else next(rest), m if dm is None else next(rest))

    return jax.jvp(f, *(tuple(t) for t in zip(*given, strict=True)))[1]


FRAMEWORKS = {
    mode: Framework(_run(wrap), _gradient, jnp.asarray, _inner, _jvp)
    for mode, wrap in (("", lambda f: f), ("jit: ", jax.jit))
}


def _cells(layer: Layer, rng: np.random.Generator) -> Iterator[Cell]:
    for mode, framework in FRAMEWORKS.items():
        for name, error in conformance.cells(layer, framework, rng):
            yield mode + name, error
    op = layer.op
    x, y = (random(rng, shape, op.dtype) for shape in (op.dims, op.dimsd))
    value, back = op.matvec(x.ravel()), op.rmatvec(y.ravel())
    at = jnp.asarray(x)
    twice = jnp.stack([at, 2 * at])

    def adjoint_through(f: Callable) -> Callable[[], float]:
        """Whether the gradient of `f`, in place of the layer, is the adjoint."""
        return lambda: _error(_gradient(lambda a: _inner(jnp.asarray(y), f(a)), at)[0], back)

    def transpose() -> float:
        return _error(jax.linear_transpose(layer, at)(jnp.asarray(y.conj()))[0], back.conj())

    yield "vmap", lambda: _error(jax.vmap(layer)(twice), np.stack([value, 2 * value]))
    yield "scan", lambda: _error(jax.lax.map(layer, twice), np.stack([value, 2 * value]))
    yield "linearize", lambda: _error(jax.linearize(layer, at)[1](2 * at), 2 * value)
    yield "linear_transpose", transpose
    yield "checkpoint", adjoint_through(jax.checkpoint(layer))
    yield "in a pytree", adjoint_through(lambda a: jax.jit(lambda tree, a: tree["layer"](a))({"layer": layer}, a))
    yield "pickle", adjoint_through(pickle.loads(pickle.dumps(layer)))
    yield "deepcopy", adjoint_through(copy.deepcopy(layer))
    if conformance.varies(op):
        yield from _model_cells(layer, rng, x, y)


def _model_cells(layer: Layer, rng: np.random.Generator, x: NDArray, y: NDArray) -> Iterator[Cell]:
    op, w = layer.op, jnp.asarray(y)
    m = op.model.m.copy()
    dm = (0.05 * m * rng.uniform(0.2, 1, m.shape)).astype(m.dtype)
    J = op.jacobian(x)
    at, along, samples = jnp.asarray(m), jnp.asarray(dm), jnp.stack([jnp.asarray(x), 2 * jnp.asarray(x)])

    def loss(b: jax.Array, a: jax.Array = samples[0]) -> jax.Array:
        return _inner(w, layer(a, m=b))

    def slope(b: jax.Array) -> jax.Array:
        return jax.jvp(loss, (b,), (along,))[1]

    second, migration = J.jacobian(dm).rmatvec(y.ravel()), J.rmatvec(y.ravel())
    yield "Hessian in m, forward over reverse", lambda: _error(jax.jvp(jax.grad(loss), (at,), (along,))[1], second)
    yield "Hessian in m, reverse over forward", lambda: _error(jax.grad(slope)(at), second)
    yield (
        "Hessian in m, forward over forward",
        lambda: _error(jax.jvp(slope, (at,), (along,))[1], np.vdot(second.real, dm.ravel())),
    )
    yield (
        "vmap of grad gives it per sample",
        lambda: _error(
            jax.vmap(jax.grad(loss), in_axes=(None, 0))(at, samples), np.stack([k * migration for k in (1, 2)])
        ),
    )


def _error(value: jax.Array, expected: ArrayLike) -> float:
    return relative_error(np.asarray(value), expected)
