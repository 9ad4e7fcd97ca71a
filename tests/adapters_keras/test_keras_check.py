"""The suite that users run on their own layers, and what TensorFlow says meanwhile."""

import doctest
import importlib
import logging

import numpy as np
import pylops
import pytest
import tensorflow as tf
from seisops_keras import Layer, check

ROW = (
    "Keras",
    "`check(layer)`: value, derivatives, batches, files, `fit`, in eager mode and in tf.function",
    "rounding",
)


@pytest.mark.row(*ROW)
@pytest.mark.parametrize("name", ["F", "adjoint", "spectra", "real", "complex"])
def test_conformance(double, capsys, name):
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((3, 4))
    ops = {
        "F": double.F,
        "adjoint": double.E.H,
        "spectra": pylops.signalprocessing.FFT(double.F.dimsd, axis=-1, dtype="complex128") @ double.F,
        "real": pylops.MatrixMult(matrix),
        "complex": pylops.MatrixMult(matrix * (1 + 2j), dtype="complex128"),
    }
    errors = check(Layer(ops[name]))
    # `fit` hands over its data in float32, and its losses are real.
    fitted = {n: errors.pop(n) for n in list(errors) if n.startswith("fit")}
    assert len(fitted) == (0 if name in ("complex", "spectra") else 4)
    assert all(e <= 1e-6 for e in fitted.values()), fitted
    assert max(errors.values()) <= 1e-12, errors
    assert ("tf.function: Hessian in m" in capsys.readouterr().out) == (name in ("F", "adjoint", "spectra"))
    assert (".keras file" in errors) == (name in ("F", "adjoint"))


class Wrong(pylops.MatrixMult):
    """An operator whose adjoint has the wrong sign."""

    def _rmatvec(self, x):
        return -super()._rmatvec(x)


def test_conformance_finds_a_wrong_adjoint():
    errors = check(Layer(Wrong(np.random.default_rng(0).standard_normal((3, 4)))), verbose=False)
    assert errors["dot test of the operator"] > 0.01
    assert errors["fit, jit_compile='auto'"] > 0.01


def test_tensorflow_says_as_much_after_a_check_as_before():
    logger = logging.getLogger("tensorflow")
    level = logger.level
    check(Layer(pylops.Identity(3)), verbose=False)
    assert logger.level == level


def test_a_graph_is_made_without_remarks(double):
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    logger = tf.get_logger()
    logger.addHandler(handler)
    try:
        tf.function(lambda x, m: Layer(double.F)(x, m=m))(tf.constant(double.q), tf.constant(double.m))
    finally:
        logger.removeHandler(handler)
    assert not [record.getMessage() for record in said]


@pytest.mark.parametrize("name", ["layer", "check", "velocity", "tensorflow", "nodes", "spec"])
def test_examples_of_the_documentation(name):
    result = doctest.testmod(importlib.import_module(f"seisops_keras.{name}"))
    assert result.attempted and not result.failed
