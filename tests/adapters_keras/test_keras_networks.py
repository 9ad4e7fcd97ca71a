"""The examples with Keras, as they are written; and the derivatives of whole networks."""

import re
import sys

import keras
import networks_keras
import numpy as np
import pytest
import tensorflow as tf
import unrolled_lsrtm
import unrolled_lsrtm_keras

import seisops as so
from seisops.scene import network_survey as operators

NETWORKS = "Networks"


@pytest.fixture
def in_double():
    """Keras in float64, for one test."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def slopes(network, inputs, h=1e-5):
    """The derivative of a loss along a random direction of every input and weight, exact and by central differences."""
    rng = np.random.default_rng(0)
    leaves = [*map(tf.Variable, inputs), *(w.value for w in network.trainable_weights)]
    directions = [0.02 * a * rng.random(a.shape) for a in inputs]
    directions += [0.1 * rng.standard_normal(w.shape) for w in network.trainable_weights]

    @tf.function
    def loss():
        at = [tf.convert_to_tensor(a) for a in leaves[: len(inputs)]]
        return tf.reduce_mean(network(at if len(at) > 1 else at[0]) ** 2)

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, leaves)
    assert all(np.abs(g).max() > 0 for g in gradients)
    values = []
    for step in (h, -2 * h):
        for a, d in zip(leaves, directions, strict=True):
            a.assign_add(step * d)
        values.append(float(loss()))
    exact = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    return exact, (values[0] - values[1]) / (2 * h)


# Central differences with a step of 1e-5 leave about 1e-10 of the slope, and rounding about as much again.
@pytest.mark.row(
    NETWORKS, "dense layers around the Jacobian, W3 (J (W1 x + b1) + b2) + b3: x and every weight", "exact"
)
def test_the_network_around_the_jacobian(in_double):
    F, _, q, _ = operators("float64")
    network = networks_keras.around_jacobian(so.Jacobian(F, q))
    assert len(network.trainable_weights) == 5
    exact, difference = slopes(network, [np.random.default_rng(1).standard_normal((3, 16))])
    assert abs(exact - difference) <= 1e-7 * abs(exact)


@pytest.mark.row(NETWORKS, "conv, E, E.H, conv: gradients for x, m and every weight", "exact")
def test_the_extended_source_network(in_double):
    _, E, _, model = operators("float64")
    network = networks_keras.extended_source(E)
    x = np.random.default_rng(1).standard_normal((2, 1, *model.shape))
    exact, difference = slopes(network, [x, np.stack([model.m, 1.01 * model.m])])
    assert abs(exact - difference) <= 1e-7 * abs(exact)


@pytest.mark.row(NETWORKS, "the three networks of the example, and a trainable earth, with `fit`", "train")
def test_networks(capsys):
    networks_keras.main()
    losses = re.findall(r": loss (\S+) -> (\S+)", capsys.readouterr().out)
    assert len(losses) == 3
    assert all(float(last) < float(first) for first, last in losses)


@pytest.mark.long
@pytest.mark.row(NETWORKS, "loop-unrolled migration: PyTorch's images from the same weights", "to 1e-5")
def test_unrolled_migration(monkeypatch, tmp_path):
    r, weights = unrolled_lsrtm.record(3), unrolled_lsrtm.WEIGHTS
    network = unrolled_lsrtm_keras.Unrolled(weights)
    expected = unrolled_lsrtm.Unrolled.load(weights).image(r)
    # Single precision, through five J and J.H and fifty convolutions.
    assert np.linalg.norm(network.image(r) - expected) <= 1e-5 * np.linalg.norm(expected)
    monkeypatch.setattr(sys, "argv", ["unrolled_lsrtm_keras", "--output", str(tmp_path)])
    unrolled_lsrtm_keras.main()
    assert (tmp_path / "unrolled_lsrtm_keras.png").stat().st_size > 10_000
