"""The conformance suite of a layer, on the user's own operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from seisops.bridge import conformance
from seisops.bridge.conformance import Cell, Framework, Transforms, random, relative_error
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


TRANSFORMS = Transforms(jax.grad, jax.jvp, jax.vmap, jax.checkpoint)
FRAMEWORKS = {
    mode: Framework(_run(wrap), _gradient, jnp.asarray, _inner, TRANSFORMS.along)
    for mode, wrap in (("", lambda f: f), ("jit: ", jax.jit))
}


def _cells(layer: Layer, rng: np.random.Generator) -> Iterator[Cell]:
    for mode, framework in FRAMEWORKS.items():
        for suite in (
            conformance.cells(layer, framework, rng),
            conformance.transformed(layer, framework, TRANSFORMS, rng),
            _own_cells(layer, framework.run, rng),
        ):
            for name, error in suite:
                yield mode + name, error


def _own_cells(layer: Layer, run: Callable, rng: np.random.Generator) -> Iterator[Cell]:
    """What JAX alone asks of a layer."""
    op = layer.op
    x, y = random(rng, op.dims, op.dtype), random(rng, op.dimsd, op.dtype)
    value, back = op.matvec(x.ravel()), op.rmatvec(y.ravel())

    def transpose(b: jax.Array) -> jax.Array:
        return jnp.conj(jax.linear_transpose(layer, x)(jnp.conj(b))[0])

    def push(a: jax.Array) -> jax.Array:
        return jax.linearize(layer, a)[1](2 * a)

    def in_a_tree(a: jax.Array) -> jax.Array:
        return jax.jit(lambda tree, b: tree["layer"](b))({"layer": layer}, a)

    yield "scan", lambda: relative_error(run(lambda a: jax.lax.map(layer, a), x[None]), value)
    yield "linearize", lambda: relative_error(run(push, x), 2 * value)
    yield "linear_transpose", lambda: relative_error(run(transpose, y), back)
    yield "in a pytree", lambda: relative_error(run(in_a_tree, x), value)
