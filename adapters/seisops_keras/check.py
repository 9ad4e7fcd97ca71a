"""The conformance suite of a Keras layer, on the user's own operator."""

from __future__ import annotations

import copy
import logging
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.bridge import conformance
from seisops.bridge.conformance import Cell, random, relative_error
from seisops_keras import spec
from seisops_keras.layer import Layer

match keras.backend.backend():
    case "tensorflow":
        from seisops_keras.tensorflow_check import FRAMEWORKS, own_cells
    case "torch":
        from seisops_keras.torch import FRAMEWORKS, own_cells
    case "jax":
        from seisops_keras.jax import FRAMEWORKS, own_cells


def check(layer: Layer, *, seed: int = 0, verbose: bool = True) -> dict[str, float]:
    """Whether a layer does with its operator all that Keras and its backend may ask of it.

    Derivatives are compared with the operator's own adjoint and Jacobian; whether the Jacobian is that of the
    operator is for ``seisops.checks.taylor_test`` to say. On TensorFlow everything is tried in eager mode and in a
    ``tf.function``. Complex operators are not trained with ``fit``, whose losses are real, and those of PyLops are not
    saved.

    Parameters
    ----------
    layer : Layer
    seed : int
        Of the random tensors.
    verbose : bool
        Print the table.

    Returns
    -------
    dict of name to relative error
        Rounding of the operator's precision where the layer is right, about 1e-14 in float64 and 1e-5 in float32;
        in ``fit``, which hands over its data in float32, about 1e-6.

    Examples
    --------
    >>> import pylops
    >>> errors = check(Layer(pylops.FirstDerivative(7)), verbose=False)
    >>> max(errors.values()) < 1e-5
    True
    """
    rng = np.random.default_rng(seed)
    # TensorFlow remarks on every function that is traced anew, and here each is.
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return conformance.report(layer.op, _cells(layer, rng), verbose=verbose)
    finally:
        logger.setLevel(level)


def _cells(layer: Layer, rng: np.random.Generator) -> Iterator[Cell]:
    for mode, framework in FRAMEWORKS.items():
        for name, error in conformance.cells(layer, framework, rng):
            yield mode + name, error
    op = layer.op
    x = random(rng, (2, *op.dims), op.dtype)
    y = np.stack([op.matvec(a.ravel()).reshape(op.dimsd) for a in x])
    kept = _can_be_saved(op)
    yield from own_cells(layer, x, y, kept)

    def same(f: Callable) -> float:
        return relative_error(keras.ops.convert_to_numpy(f(keras.ops.convert_to_tensor(x))), y)

    if kept:
        yield "deepcopy", lambda: same(copy.deepcopy(layer))
        yield "pickle", lambda: same(pickle.loads(pickle.dumps(layer)))
        yield "from_config(get_config())", lambda: same(type(layer).from_config(layer.get_config()))
        yield ".keras file", lambda: same(_through_a_file(layer))
    if not np.issubdtype(op.dtype, np.complexfloating):
        for how in ({"jit_compile": "auto"}, {"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}):
            ((word, value),) = how.items()
            yield f"fit, {word}={value!r}", lambda how=how: _fit(layer, x, how)


def _can_be_saved(op: LinearOperator) -> bool:
    try:
        spec.encode(op)
    except TypeError:
        return False
    return True


def _through_a_file(layer: Layer) -> keras.Model:
    x = keras.Input(layer.op.dims, dtype=layer.op.dtype.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.Model(x, layer(x)).save(path)
        return keras.models.load_model(path)


class _Gain(keras.layers.Layer):
    """One number to train in front of the layer."""

    def build(self, shape) -> None:
        self.gain = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return self.gain * x


def _fit(layer: Layer, x: NDArray, how: dict) -> float:
    """The step that one batch of `fit` makes, against the one computed with the operator."""
    # Keras hands over data in float32, so they are such from the start.
    x = x.astype("float32")
    y = np.stack([layer.op.matvec(a.ravel().astype(layer.op.dtype)) for a in x]).reshape(2, *layer.op.dimsd)
    target = (0.5 * y).astype("float32")
    gradient = float(2 * np.mean((y - target) * y))
    rate = 0.5 / gradient
    gain = _Gain(dtype=layer.op.dtype.name, autocast=False)
    net = keras.Sequential([keras.Input(layer.op.dims, dtype=layer.op.dtype.name), gain, layer])
    with warnings.catch_warnings():
        # That XLA cannot compile the operator and is not asked to.
        warnings.filterwarnings("ignore", message=".*jit_compile")
        net.compile(optimizer=keras.optimizers.SGD(rate), loss="mse", **how)
    net.fit(x, target, batch_size=2, verbose=0)
    return relative_error(keras.ops.convert_to_numpy(gain.gain) - 1, -rate * gradient)
