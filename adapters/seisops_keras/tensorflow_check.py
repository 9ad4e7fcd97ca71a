"""What the conformance suite needs of TensorFlow, and what TensorFlow alone asks of a layer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seisops.bridge.conformance import Cell, Framework, relative_error


def _run(mode: Callable) -> Callable:
    def run(f: Callable, *arrays: NDArray) -> NDArray | tuple[NDArray, ...]:
        results = mode(f)(*map(tf.constant, arrays))
        return results.numpy() if tf.is_tensor(results) else tuple(r.numpy() for r in results)

    return run


def _gradient(f: Callable, *at: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = f(*at)
    return tape.gradient(value, at)


def _inner(w: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.math.real(tf.reduce_sum(tf.math.conj(w) * y))


def _jvp(layer, x, dx, m, dm) -> tf.Tensor:
    return layer.jvp(x, dx, m, dm)[1]


FRAMEWORKS = {
    mode: Framework(_run(wrap), _gradient, tf.constant, _inner, _jvp)
    for mode, wrap in (("eager: ", lambda f: f), ("tf.function: ", tf.function))
}


def own_cells(layer, x: NDArray, y: NDArray, kept: bool) -> Iterator[Cell]:
    """A batch `x` and its values `y` through the habits of TensorFlow; `kept` where the operator can be saved."""
    op = layer.op
    signature = [tf.TensorSpec((None, *op.dims), op.dtype)]

    def unknown_batch() -> float:
        return relative_error(tf.function(layer, input_signature=signature)(tf.constant(x)).numpy(), y)

    yield "tf.function: unknown batch size", unknown_batch
    for mode, framework in FRAMEWORKS.items():
        yield (
            mode + "vectorized_map",
            lambda run=framework.run: relative_error(run(lambda a: tf.vectorized_map(layer, a), x), y),
        )
        if not np.issubdtype(op.dtype, np.complexfloating):
            yield mode + "tape.jacobian", lambda run=framework.run: _jacobian(layer, x[0], run)
    if kept:
        yield "SavedModel with gradients", lambda: _through_a_folder(layer, x, signature)


def _jacobian(layer, x: NDArray, run: Callable) -> float:
    """Of a few numbers of the output, whose rows are columns of the adjoint."""
    n = min(3, layer.op.shape[0])

    def f(a):
        with tf.GradientTape() as tape:
            tape.watch(a)
            y = tf.reshape(layer(a), [-1])[-n:]
        return tape.jacobian(y, a)

    rows = np.eye(n, layer.op.shape[0], layer.op.shape[0] - n, dtype=layer.op.dtype)
    return relative_error(run(f, x), np.stack([layer.op.rmatvec(e) for e in rows]))


def _through_a_folder(layer, x: NDArray, signature: list) -> float:
    module = tf.Module()
    module.f = tf.function(layer, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        f = tf.saved_model.load(folder).f
    y = np.stack([layer.op.matvec(a.ravel()).reshape(layer.op.dimsd) for a in x])
    (back,) = _gradient(lambda a: _inner(tf.constant(y), f(a)), tf.constant(x))
    return relative_error(back.numpy(), np.stack([layer.op.rmatvec(b.ravel()) for b in y]))
