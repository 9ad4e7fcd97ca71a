"""The bridge of seisops bound to TensorFlow: one function with a custom gradient, closed under differentiation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np
import tensorflow as tf
from pylops import LinearOperator

from seisops import compose
from seisops.arrays import real_type
from seisops.bridge.arguments import check_input, check_kind, check_parameter
from seisops.bridge.calculus import Keeper, shape_of
from seisops.bridge.form import FORWARD, Inputs, Partial, pull, push
from seisops.bridge.parameters import broadcast, names_of
from seisops_keras import shim
from seisops_keras.nodes import Mode, placed, register, run

__all__ = ["apply", "jvp", "register"]


# AutoGraph would rewrite the source of all that is called from a graph, and warn where it cannot.
@tf.autograph.experimental.do_not_convert
def apply(op: LinearOperator, x: tf.Tensor, m: tf.Tensor | None = None, **parameters: tf.Tensor) -> tf.Tensor:
    """``op @ x``, or ``op.at(m=m) @ x``, differentiable in both.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition.
    x : tensor, shape ending with ``op.dims``
        What stands before is batch, of unknown size in a graph.
    m : tensor, shape ending with ``op.model.shape``, optional, s²/km²
        Squared slowness; one for all, or with the batch axes of `x`.
    **parameters : tensors
        The medium's parameters by any name that ``op.model.at`` takes, the velocity ``v=v`` among them.

    Returns
    -------
    tensor, the batch axes followed by ``op.dimsd``
        Of the dtype of `x`; computed in the operator's precision.

    Raises
    ------
    ValueError, TypeError
        For shapes or kinds of numbers that do not fit, before anything runs.
    NotImplementedError
        For a ``tf.autodiff.ForwardAccumulator`` inside a ``tf.function``, where TensorFlow would take the tangent to
        be zero; use :func:`jvp`. In eager mode the accumulator is right. Around a ``tf.function`` it is right without
        m; with m TensorFlow raises an error of its own.

    Notes
    -----
    Derivatives of every order are right in eager mode and in ``tf.function``. In eager mode just what a tape
    watches is computed; in a graph what nobody uses is pruned, except that the gradients in `x` and in `m` come as one.
    A graph is placed on the CPU and cannot be compiled by XLA.

    Examples
    --------
    >>> import pylops, tensorflow as tf
    >>> D = pylops.FirstDerivative(5)
    >>> x = tf.Variable(tf.ones((3, 5), tf.float64))
    >>> with tf.GradientTape() as tape:
    ...     y = apply(D, x)
    >>> y.shape, tape.gradient(y, x).shape
    (TensorShape([3, 5]), TensorShape([3, 5]))
    """
    op = compose(op)
    x = tf.convert_to_tensor(x)
    return _back(_product(op, *_arguments(op, x, _model(op, {"m": m, **parameters}))), x.dtype)


@tf.autograph.experimental.do_not_convert
def jvp(
    op: LinearOperator, x: tf.Tensor, dx: tf.Tensor | None, m: Mapping[str, tf.Tensor] | None = None,
    dm: Mapping[str, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:  # fmt: skip
    """``apply(op, x, **m)`` and its derivative along `dx` and `dm`, in eager mode and in graphs.

    Parameters
    ----------
    op, x
        See :func:`apply`.
    m : dict of str to tensor, optional
        Parameters of the medium by name.
    dx, dm : like `x`, like `m`, or None for zero

    Returns
    -------
    y, dy : tensor
        Both differentiable.

    Examples
    --------
    >>> import pylops, tensorflow as tf
    >>> x = tf.range(5.0)
    >>> y, dy = jvp(pylops.FirstDerivative(5, dtype="float32"), x, 2 * x)
    >>> bool(tf.reduce_all(dy == 2 * y))
    True
    """
    op = compose(op)
    x = tf.convert_to_tensor(x)
    given, m, dm = x.dtype, dict(m or {}), dict(dm or {})
    pairs = [("x", x, dx), *((name, m.get(name), direction) for name, direction in dm.items())]
    for name, at, direction in pairs:
        if direction is not None and (at is None or tuple(direction.shape) != tuple(at.shape)):
            like = "not given" if at is None else tuple(at.shape)
            raise ValueError(f"d{name} is a direction of {name} ({like}); got shape {tuple(direction.shape)}.")
    m, dm = _model(op, m), _along(op, m, dm)
    directions = _arguments(op, x if dx is None else dx, m if dm is None else dm)
    x, m = _arguments(op, x, m)
    y = _product(op, x, m)
    along = Inputs(x=None if dx is None else directions[0], m=None if dm is None else directions[1])
    dy = push(FORWARD, Inputs(m, x), along, lambda partials, at: _form(op, Mode(), partials, at))
    return _back(y, given), _back(tf.zeros_like(y) if dy is None else dy, given)


# ---------------------------------------------------------------------- arguments


def _arguments(op: LinearOperator, x, m: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The arguments in the operator's precision, the batch axes of both the same unless m has none."""
    x = _tensor("x", x)
    batch = check_input(op, tuple(x.shape))
    check_kind(op, x.dtype.is_complex, x.dtype.is_floating or x.dtype.is_complex)
    x = _ready(x, op.dtype)
    if m is None:
        return x, None
    models = tuple(m.shape)[: m.shape.rank - len(shape_of(op, "m"))]
    if models and (models != batch or None in batch):
        broadcast(batch, models)
        lead = tf.broadcast_dynamic_shape(tf.shape(x)[: len(batch)], tf.shape(m)[: len(models)])
        x, m = (tf.broadcast_to(a, tf.concat([lead, shape_of(op, s)], 0)) for a, s in ((x, "x"), (m, "m")))
    return x, m


def _model(op: LinearOperator, given: dict) -> tf.Tensor | None:
    """The parameters of the medium as one tensor in the operator's precision, None where none is given."""
    names, dtype = names_of(op), real_type(op.dtype)

    def ready(name: str, value) -> tf.Tensor:
        value = _tensor(name, value)
        check_parameter(name, value.dtype.is_floating, value.dtype.name)
        return _ready(value, dtype)

    def join(parts: list[tf.Tensor]) -> tf.Tensor:
        shape = reduce(tf.broadcast_dynamic_shape, map(tf.shape, parts))
        return tf.stack([tf.broadcast_to(p, shape) for p in parts], -1 - len(names.grid))

    return names.stack(given, ready, join)


def _along(op: LinearOperator, m: dict, dm: dict) -> tf.Tensor | None:
    """The direction of what :func:`_model` makes, as the derivative of its gradient in a cotangent, which is linear."""
    if not dm:
        return None
    names = list(dm)
    at, along = ([_tensor(n, values[n]) for n in names] for values in (m, dm))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(at)
            model = _model(op, m | dict(zip(names, at, strict=True)))
        cotangent = tf.zeros_like(model)
        outer.watch(cotangent)
        gradients = inner.gradient(model, at, cotangent)
        total = tf.add_n([tf.reduce_sum(g * tf.cast(a, g.dtype)) for g, a in zip(gradients, along, strict=True)])
    return outer.gradient(total, cotangent)


def _tensor(name: str, value) -> tf.Tensor:
    tensor = tf.convert_to_tensor(value)
    if tensor.shape.rank is None:
        raise ValueError(
            f"The number of axes of {name} must be known when the graph is made; use set_shape or reshape."
        )
    return tensor


def _ready(tensor: tf.Tensor, dtype: np.dtype) -> tf.Tensor:
    if not tf.executing_eagerly() and shim.forward_mode([tensor]):
        raise NotImplementedError(
            "tf.autodiff.ForwardAccumulator would take the derivative of this operator to be zero in a tf.function. "
            "Use layer.jvp(x, dx, m, dm) there, or the accumulator in eager mode."
        )
    return _cast(tensor, tf.as_dtype(dtype))


def _back(y: tf.Tensor, given: tf.DType) -> tf.Tensor:
    """The dtype that came in, made complex where the operator makes its input complex."""
    if y.dtype.is_complex and not given.is_complex:
        given = tf.complex128 if given == tf.float64 else tf.complex64
    return _cast(y, given)


def _cast(tensor: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)


# ---------------------------------------------------------------------- the function and its gradient


def _product(op: LinearOperator, x: tf.Tensor, m: tf.Tensor | None) -> tf.Tensor:
    # A wavefield is worth keeping where a tape follows m. In a graph the tape may be outside and unknown here; then
    # the backward marches once more, and nothing else changes.
    keep = m is not None and shim.recorded(m)
    keeper = Keeper(wanted=keep) if tf.executing_eagerly() else None
    return _form(op, Mode(True, keep, keeper), (FORWARD,), Inputs(m, x))[0]


def _form(op: LinearOperator, mode: Mode, partials: tuple[Partial, ...], inputs: Inputs) -> list[tf.Tensor]:
    """The partials of an operator's form; their derivatives are partials again."""
    flat = inputs.flat()
    places = [i for i, t in enumerate(flat) if t is not None]
    if tf.executing_eagerly() and not shim.recorded(*(flat[i] for i in places)):
        # A custom gradient costs more than many a product.
        return run(op, mode, partials, inputs)

    @tf.custom_gradient
    def form(*given):
        tensors = placed(places, given, len(flat))
        # A graph may be made before any tape is, so there all are wanted and what is unused is pruned.
        eager = tf.executing_eagerly()
        wanted = [t is not None and (not eager or shim.recorded(t)) for t in tensors]
        results = run(op, mode, partials, Inputs.unflat(tensors))

        def call(partials, at):
            return _form(op, replace(mode, product=False, keep=False), partials, at)

        def gradient(*cotangents):
            # The backward of a product waits for it, and so finds its wavefield, even where it needs no value of it.
            with tf.control_dependencies(results if mode.keep else []):
                totals = pull(partials, Inputs.unflat(tensors), cotangents, wanted, call)
            return [totals[i] for i in places]

        return results, gradient

    return list(form(*(flat[i] for i in places)))
