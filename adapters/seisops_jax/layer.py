"""Any operator as a function of JAX's, and as a leafless part of a pytree."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from numpy.typing import ArrayLike
from pylops import LinearOperator

from seisops import compose
from seisops.algebra import describe
from seisops.arrays import real_type
from seisops.bridge.arguments import check_input, check_kind, check_parameter
from seisops.bridge.calculus import shape_of
from seisops.bridge.parameters import broadcast, names_of
from seisops_jax.primitive import product


def apply(op: LinearOperator, x: ArrayLike, m: ArrayLike | None = None, **parameters: ArrayLike) -> jax.Array:
    """``op @ x``, or ``op.at(m=m) @ x``, differentiable in both.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition.
    x : array, shape ending with ``op.dims``
        What stands before is batch.
    m : array, shape ending with ``op.model.shape``, optional, s²/km²
        Squared slowness; one for all, or with the batch axes of `x`.
    **parameters : arrays
        The medium's parameters by any name that ``op.model.at`` takes, the velocity ``v=v`` among them.

    Returns
    -------
    jax.Array, the batch axes followed by ``op.dimsd``
        Of the dtype of `x`; computed in the operator's precision.

    Raises
    ------
    ValueError, TypeError
        For shapes or kinds of numbers that do not fit, before anything runs. What only the values show, such as a
        model too fast for the time step, raises when it runs; in a compiled function as a
        ``jax.errors.JaxRuntimeError`` with that message.

    Warns
    -----
    UserWarning
        Where the operator computes in float64 and JAX, without ``jax_enable_x64``, holds float32.

    Notes
    -----
    Derivatives of every order are right, forward, reverse and mixed. Compiled functions call the operator back on the
    CPU, under the settings of ``so.config`` that they were traced in.

    Examples
    --------
    >>> import jax, pylops
    >>> apply(pylops.FirstDerivative(5, dtype="float32"), jax.numpy.ones((3, 5))).shape
    (3, 5)
    """
    return _apply(compose(op), x, {"m": m, **parameters})


@jax.tree_util.register_static
@dataclass(frozen=True)
class Layer:
    """An operator as a function: ``layer(x)``, ``layer(x, m=m)`` or ``layer(x, v=v)``.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition. `Layer(Pr @ A @ Pw.H)(w, m=m)` models extended sources,
        `Layer((Pr @ A @ Pw.H).H)(d, m=m)` is its adjoint, `Layer(Pr @ A @ Ps.H)(q, m=m)` models in a trainable earth.

    Notes
    -----
    A layer may be a part of any pytree, such as a module of Equinox or an argument of a compiled function: it has no
    leaves, and those of one operator are equal.

    Examples
    --------
    >>> import jax, pylops
    >>> layer = Layer(pylops.FirstDerivative(5, dtype="float32"))
    >>> layer(jax.numpy.ones((8, 1, 5))).shape
    (8, 1, 5)
    >>> layer.H(jax.numpy.ones(5)).tolist()
    [-0.5, -0.5, 0.0, 0.5, 0.5]
    >>> jax.tree.leaves(layer)
    []
    """

    op: LinearOperator

    def __post_init__(self) -> None:
        object.__setattr__(self, "op", compose(self.op))

    def __call__(self, x: ArrayLike, m: ArrayLike | None = None, **parameters: ArrayLike) -> jax.Array:
        """See :func:`apply`."""
        return _apply(self.op, x, {"m": m, **parameters})

    @property
    def H(self) -> Layer:
        """The layer of the adjoint operator."""
        return Layer(self.op.H)

    def __repr__(self) -> str:
        return f"Layer({describe(self.op)})"


def _apply(op: LinearOperator, x: ArrayLike, given: dict[str, ArrayLike | None]) -> jax.Array:
    _warn_of_precision(op)
    x = x if isinstance(x, jax.Array) else jnp.asarray(x)
    batch = check_input(op, x.shape)
    check_kind(op, jnp.iscomplexobj(x), jnp.issubdtype(x.dtype, jnp.inexact))
    m = None if all(value is None for value in given.values()) else _model(op, given)
    dtype, x = x.dtype, _ready(x, op.dtype)
    if m is not None:
        shape = shape_of(op, "m")
        models = tuple(m.shape[: m.ndim - len(shape)])
        if models and models != batch:
            batch = broadcast(batch, models)
            x, m = jnp.broadcast_to(x, (*batch, *op.dims)), jnp.broadcast_to(m, (*batch, *shape))
    y = product(op, m, x)
    # The dtype that came in, made complex where the operator makes its input complex.
    return _ready(y, jnp.promote_types(dtype, "complex64") if jnp.iscomplexobj(y) else dtype)


def _model(op: LinearOperator, given: dict[str, jax.Array]) -> jax.Array | None:
    """The parameters of the medium as one array in the operator's precision, None where none is given."""
    names, dtype = names_of(op), real_type(op.dtype)

    def ready(name: str, value: ArrayLike) -> jax.Array:
        value = jnp.asarray(value)
        check_parameter(name, jnp.issubdtype(value.dtype, jnp.floating), value.dtype)
        return _ready(value, dtype)

    def join(parts: list[jax.Array]) -> jax.Array:
        return jnp.stack(jnp.broadcast_arrays(*parts), -1 - len(names.grid))

    return names.stack(given, ready, join)


def _warn_of_precision(op: LinearOperator) -> None:
    if canonicalize_dtype(op.dtype) != op.dtype:
        warnings.warn(
            f"{describe(op)} computes in {op.dtype}, and what JAX holds of it is cut to "
            f"{canonicalize_dtype(op.dtype)}: call jax.config.update('jax_enable_x64', True) before arrays are made, "
            "or make the Model with dtype='float32'.",
            UserWarning,
            stacklevel=4,
        )


def _ready(x: jax.Array, dtype: np.dtype) -> jax.Array:
    """`x` in JAX's form of a dtype."""
    dtype = canonicalize_dtype(dtype)
    return x if x.dtype == dtype else x.astype(dtype)
