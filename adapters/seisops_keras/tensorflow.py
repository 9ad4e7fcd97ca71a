"""The bridge of seisops bound to TensorFlow: one function with a custom gradient, closed under differentiation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf
from pylops import LinearOperator

from seisops import compose
from seisops.bridge import calculus as bridge
from seisops.bridge.calculus import FORWARD, Inputs, Keeper, Partial
from seisops_keras import shim
from seisops_keras.nodes import Mode, placed, register, run

__all__ = ["apply", "jvp", "register"]

# The gradients in x and in m of one product, which one march gives.
PAIR = {Partial("x", 0), Partial("m", 1)}


# AutoGraph would rewrite the source of all that is called from a graph, and warn where it cannot.
@tf.autograph.experimental.do_not_convert
def apply(op: LinearOperator, x: tf.Tensor, m: tf.Tensor | None = None) -> tf.Tensor:
    """``op @ x``, or ``op.at(m=m) @ x``, differentiable in both.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition.
    x : tensor, shape ending with ``op.dims``
        What stands before is batch, of unknown size in a graph.
    m : tensor, shape ending with ``op.model.shape``, optional, s²/km²
        Squared slowness; one for all, or with the batch axes of `x`.

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
    return _back(_product(op, *_arguments(op, x, m)), x.dtype)


@tf.autograph.experimental.do_not_convert
def jvp(
    op: LinearOperator, x: tf.Tensor, dx: tf.Tensor | None, m: tf.Tensor | None = None, dm: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """``apply(op, x, m)`` and its derivative along `dx` and `dm`, in eager mode and in graphs.

    Parameters
    ----------
    op, x, m
        See :func:`apply`.
    dx, dm : tensor like `x`, like `m`, or None for zero

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
    given = x.dtype
    for name, direction, at in (("dx", dx, x), ("dm", dm, m)):
        if direction is not None and (at is None or tuple(direction.shape) != tuple(at.shape)):
            like = "not given" if at is None else tuple(at.shape)
            raise ValueError(f"{name} is a direction of {name[1]} ({like}); got shape {tuple(direction.shape)}.")
    directions = _arguments(op, x if dx is None else dx, m if dm is None else dm)
    x, m = _arguments(op, x, m)
    y = _product(op, x, m)
    along = Inputs(x=None if dx is None else directions[0], m=None if dm is None else directions[1])
    terms = [_form(op, Mode(), (p,), at)[0] for p, at in bridge.tangents(FORWARD, Inputs(m, x), along)]
    return _back(y, given), _back(tf.add_n(terms) if terms else tf.zeros_like(y), given)


# ---------------------------------------------------------------------- arguments


def _arguments(op: LinearOperator, x, m) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The arguments in the operator's precision, the batch axes of both the same unless m has none."""
    x = _argument(op, "x", x, op.dtype)
    if m is None:
        return x, None
    m = _argument(op, "m", m, np.zeros(0, op.dtype).real.dtype)
    batch, models = bridge.check_input(op, "x", x.shape), bridge.check_input(op, "m", m.shape)
    if models and (models != batch or None in batch):
        try:
            tf.broadcast_static_shape(tf.TensorShape(batch), tf.TensorShape(models))
        except ValueError as error:
            raise ValueError(f"The batch axes of m, {models}, do not go with those of the input, {batch}.") from error
        lead = tf.broadcast_dynamic_shape(tf.shape(x)[: len(batch)], tf.shape(m)[: len(models)])
        x, m = (tf.broadcast_to(a, tf.concat([lead, bridge.shape_of(op, s)], 0)) for a, s in ((x, "x"), (m, "m")))
    return x, m


def _argument(op: LinearOperator, name: str, value, dtype: np.dtype) -> tf.Tensor:
    tensor = tf.convert_to_tensor(value)
    if tensor.shape.rank is None:
        raise ValueError(
            f"The number of axes of {name} must be known when the graph is made; use set_shape or reshape."
        )
    bridge.check_input(op, name, tuple(tensor.shape))
    complex_input = tensor.dtype.is_complex
    if complex_input and name == "m":
        raise TypeError("The model m is real; got complex numbers.")
    bridge.check_kind(op, complex_input, tensor.dtype.is_floating or complex_input)
    if not tf.executing_eagerly() and shim.forward_mode([tensor]):
        raise NotImplementedError(
            "tf.autodiff.ForwardAccumulator would take the derivative of this operator to be zero in a tf.function. "
            "Use layer.jvp(x, dx, m, dm) there, or the accumulator in eager mode."
        )
    return tf.cast(tensor, tf.as_dtype(dtype))


def _back(y: tf.Tensor, given: tf.DType) -> tf.Tensor:
    """The dtype that came in, made complex where the operator makes its input complex."""
    if y.dtype.is_complex and not given.is_complex:
        given = tf.complex128 if given == tf.float64 else tf.complex64
    return tf.cast(y, given)


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

        def gradient(*cotangents):
            # The backward of a product waits for it, and so finds its wavefield, even where it needs no value of it.
            with tf.control_dependencies(results if mode.keep else []):
                totals = _pull(op, replace(mode, product=False, keep=False), partials, tensors, cotangents, wanted)
            return [totals[i] for i in places]

        return results, gradient

    return list(form(*(flat[i] for i in places)))


def _pull(op, mode, partials, tensors, cotangents, wanted) -> list[tf.Tensor | None]:
    """The gradient of every tensor."""
    totals: list[tf.Tensor | None] = [None] * len(tensors)
    for partial, cotangent in zip(partials, cotangents, strict=True):
        if cotangent is None:
            continue
        for needed, at, positions in bridge.cotangents(partial, Inputs.unflat(tensors), cotangent, wanted):
            # One node for those that share a march; the others each their own, so that they can be pruned.
            single = [((p,), (i,)) for p, i in zip(needed, positions, strict=True)]
            for group, where in [(needed, positions)] if set(needed) == PAIR else single:
                for i, result in zip(where, _form(op, mode, group, at), strict=True):
                    totals[i] = result if totals[i] is None else totals[i] + result
    return totals
