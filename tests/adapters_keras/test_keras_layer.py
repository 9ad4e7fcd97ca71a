"""The layer as Keras knows layers: shapes, precisions, training, messages."""

import sys
import warnings
from contextlib import nullcontext

import keras
import numpy as np
import pylops
import pytest
import tensorflow as tf
from keras.src.testing import TestCase
from seisops_keras import Layer, VelocityModel, apply

import seisops as so


@pytest.fixture
def policy():
    """Set the global policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


class Inversion(keras.Model):
    """A trainable earth under a known survey."""

    def __init__(self, survey, **kwargs):
        super().__init__(**kwargs)
        self.earth, self.data = VelocityModel(survey.model, bounds=(1.4, 2.6)), Layer(survey.F)

    def call(self, q):
        return self.data(q, m=self.earth())


class Conformance(TestCase):
    """Keras' own harness for layers."""

    def check(self, op, **kwargs):
        self.run_layer_test(
            Layer,
            init_kwargs={"op": op},
            input_shape=(2, *op.dims),
            expected_output_shape=(2, *op.dimsd),
            expected_num_trainable_weights=0,
            expected_num_non_trainable_weights=0,
            expected_num_losses=0,
            supports_masking=False,
            **kwargs,
        )


# The harness trains on a generator and without weights, and Keras remarks on both.
@pytest.mark.row("Keras", "Keras' own `run_layer_test`", "passes")
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed", "ignore:The model does not have any trainable")
@pytest.mark.parametrize("adjoint", [False, True])
def test_keras_conformance(single, adjoint):
    Conformance("run").check(single.F.H if adjoint else single.F)


@pytest.mark.row("Keras", "`VelocityModel` in Keras' serialisation harness", "passes")
def test_keras_conformance_of_the_velocity(single):
    case = Conformance("run")
    for bounds in (None, (1.4, 2.6), (single.model.v - 0.1, single.model.v + 0.1)):
        case.run_class_serialization_test(VelocityModel(single.model, bounds=bounds))


@pytest.mark.row("Keras", "`fit`, jit_compile auto, False and eager", "the steps of the exact gradient")
@pytest.mark.row("Keras", "`fit`, jit_compile=True", "a warning, then the same")
@pytest.mark.parametrize(
    "how", [{"jit_compile": "auto"}, {"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
)
def test_fit(double, near, how):
    x = np.stack([double.q, 2 * double.q, 3 * double.q])
    y = np.stack([double.F.at(m=double.m + double.dm) @ a for a in x])
    net = Inversion(double)
    before = net.earth.v.numpy()
    refused = how.get("jit_compile") is True
    with pytest.warns(UserWarning, match="jit_compile=False") if refused else nullcontext():
        net.compile(optimizer=keras.optimizers.SGD(1e-2), loss="mse", **how)
    history = net.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert history[-1] < history[0]
    # The first steps by hand: Keras casts the data to float32 on the way.
    expected = before
    for _ in range(3):
        for part in (slice(0, 2), slice(2, 3)):
            F = double.F.at(m=1 / expected**2)
            residuals = [F @ a - b for a, b in zip(x[part], y[part], strict=True)]
            gm = sum(F.jacobian(a).H @ r for a, r in zip(x[part], residuals, strict=True))
            gm = 2 * gm / sum(r.size for r in residuals)
            expected = expected - 1e-2 * gm * (-2 / expected**3)
    near(net.earth.v.numpy() - before, expected - before, 1e-4)


@pytest.mark.row("Keras", "functional models, `clone_model`, `predict`", "exact")
def test_functional_model_and_clone(double, near):
    q = keras.Input(double.F.dims, dtype="float64")
    m = keras.Input(double.model.shape, dtype="float64")
    d = Layer(double.F)(q, m=m)
    assert d.shape == (None, *double.F.dimsd) and d.dtype == "float64"
    net = keras.Model([q, m], Layer(double.F.H)(d))
    x, models = np.stack([double.q] * 2), np.stack([double.m, double.m + double.dm])
    F2 = double.F.at(m=models[1])
    expected = np.stack([double.F.H @ (double.F @ double.q), double.F.H @ (F2 @ double.q)])
    for n in (net, keras.models.clone_model(net)):
        near(n([x, models]), expected)
        near(n.predict([x, models], verbose=0), expected, 1e-6)


def test_velocity_in_a_functional_model(double, near):
    q = keras.Input(double.F.dims, dtype="float64")
    net = keras.Model(q, Layer(double.F)(q, m=VelocityModel(double.model)(q)))
    near(net(double.q[None]), (double.F @ double.q)[None])
    assert [tuple(w.shape) for w in net.trainable_weights] == [double.model.shape]


@pytest.mark.row("Keras", "bounds of `VelocityModel`", "hold")
def test_velocity_stays_between_its_bounds(double):
    earth = VelocityModel(double.model, bounds=(1.4, 2.6))
    keras.optimizers.SGD(1.0).apply([tf.ones(double.model.shape, tf.float64)], [earth.v])
    assert np.allclose(earth.v.numpy(), np.maximum(double.model.v - 1, 1.4))
    assert np.allclose(earth(), 1 / np.maximum(double.model.v - 1, 1.4) ** 2)
    with pytest.raises(ValueError, match=r"v from 1\.4 to 4\.6 let waves reach 4\.6 km/s, above 3\.5"):
        VelocityModel(double.model, bounds=(1.4, 4.6))
    with pytest.raises(ValueError, match=r"The bounds of v exclude where it starts, 1\.5"):
        VelocityModel(double.model, bounds=(1.8, 2.6))


@pytest.mark.row("Keras", "unknowns of `so.parametrisation` in `keras.ops`", "exact")
def test_unknowns_in_arrays_of_keras(double, near):
    fixed = np.zeros(double.model.shape, bool)
    fixed[:, :3] = True
    P = so.parametrisation(double.model, v="1 / s", bounds=(1 / 3.4, 1 / 1.4), fixed=fixed)
    d = double.F.at(m=1.02 * double.model.m) @ double.q
    value, gradient = so.fwi(double.F, double.q, d, wrt=P(P.start))
    x = tf.constant(P.start)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Layer(double.F)(double.q, **P.forward([x], library=keras.ops))
        loss = 0.5 * tf.reduce_sum((y - d) ** 2)
    assert abs(float(loss) - value) <= 1e-10 * value
    near(tape.gradient(loss, x), gradient)


@pytest.mark.row("Keras", "`compute_output_shape`", "without running")
def test_shapes_without_running(double):
    layer, shape = Layer(double.F), double.F.dims
    assert layer.compute_output_shape((None, 1, *shape)) == (None, 1, *double.F.dimsd)
    assert layer.compute_output_shape(shape, (5, *double.model.shape)) == (5, *double.F.dimsd)
    assert layer.compute_output_shape((None, *shape), (5, *double.model.shape)) == (5, *double.F.dimsd)
    with pytest.raises(ValueError, match="batch axes"):
        layer.compute_output_shape((2, *shape), (5, *double.model.shape))


def test_adjoint_layer(double, near):
    near(Layer(double.F).H(double.w), double.F.H @ double.w)
    assert Layer(double.F).H.H.op.sentence == double.F.sentence


def test_numpy_and_variables(double, near):
    layer = Layer(double.F)
    m = tf.Variable(double.m)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(double.w * layer(double.q, m=m))
    near(tape.gradient(loss, m), double.F.jacobian(double.q).H @ double.w)


# ---------------------------------------------------------------------- precision


@pytest.mark.row("Precision", "float32, bfloat16, float16 through `apply`", "dtype comes back")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_apply_gives_back_the_dtype_it_was_given(single, near, dtype):
    x, m = tf.cast(single.q, dtype), tf.Variable(single.m)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = apply(single.F, x, m)
    assert y.dtype == dtype
    gx, gm = tape.gradient(y, [x, m])
    assert gx.dtype == dtype and gm.dtype == tf.float32
    near(tf.cast(y, tf.float32), single.F @ tf.cast(x, tf.float32).numpy(), 1e-2)


@pytest.mark.row("Precision", "policies mixed_float16, mixed_bfloat16", "computed in the operator's precision")
@pytest.mark.parametrize("half", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_the_operators_own(single, near, policy, half):
    policy(half)
    layer = Layer(single.F)
    x = single.q + np.float32(1e-4) * single.q[::-1]
    y = layer(x)
    assert y.dtype == layer.compute_dtype == half.removeprefix("mixed_")
    expected = tf.cast(single.F @ x, y.dtype)
    assert np.array_equal(tf.cast(y, tf.float32), tf.cast(expected, tf.float32))
    assert Layer(single.F, dtype="float32")(x).dtype == tf.float32
    assert VelocityModel(single.model)().dtype == tf.float32


@pytest.mark.row("Precision", "`fit` under mixed_float16", "trains")
@pytest.mark.parametrize("mixed", [False, True])
def test_fit_in_half_precision(single, policy, mixed):
    policy("mixed_float16" if mixed else "float32")
    net = Inversion(single)
    net.compile(optimizer=keras.optimizers.SGD(1e-2), loss="mse")
    before, x = net.earth.v.numpy(), np.stack([single.q, 2 * single.q])
    F = single.F.at(m=single.m + single.dm)
    loss = net.fit(x, np.stack([F @ a for a in x]), epochs=4, verbose=0).history["loss"]
    assert net.earth.v.dtype == "float32"
    assert not np.array_equal(net.earth.v, before)
    assert 0 < loss[-1] < loss[0]


@pytest.mark.row("Precision", "LossScaleOptimizer", "skips the step")
def test_loss_scaling_survives_an_overflow(single, policy):
    policy("mixed_float16")
    net = Inversion(single)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), initial_scale=2.0**30)
    net.compile(optimizer=optimizer, loss="mse")
    before = net.earth.v.numpy()
    net.fit(single.q[None], 10 * (single.F @ single.q)[None], epochs=1, verbose=0)
    assert np.array_equal(net.earth.v, before)
    assert float(optimizer.dynamic_scale) < 2.0**30


@pytest.mark.row("Precision", "float64 input, float32 operator", "warns")
def test_double_input_to_a_single_operator_warns(single):
    layer = Layer(single.F)
    with pytest.warns(UserWarning, match="float64"):
        y = layer(single.q.astype("float64"))
    assert y.dtype == tf.float32
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer(single.q)
    assert not any("float64" in str(w.message) for w in caught)


def test_single_input_to_a_double_operator(double, single, near):
    y = Layer(double.F)(single.q)
    assert y.dtype == tf.float64
    near(y, double.F @ single.q.astype("float64"))


def test_complex_layer():
    layer = Layer(pylops.signalprocessing.FFT(8, dtype="complex128"))
    assert layer(np.ones((3, 8))).dtype == tf.complex128
    assert layer.compute_output_spec(keras.KerasTensor((None, 8), "float64")).dtype == "complex128"
    single = Layer(pylops.MatrixMult(np.ones((2, 8), "complex64"), dtype="complex64"))
    assert single(np.ones(8, "float32")).dtype == tf.complex64


@pytest.mark.row("Precision", "output that is the input", "a copy")
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [4, 1 << 16])
def test_output_owns_its_memory(size, dtype, watched):
    x = tf.Variable(np.arange(size, dtype=dtype))
    with tf.GradientTape(watch_accessed_variables=watched):
        y = apply(pylops.Identity(size, dtype=dtype), x)
    x.assign(np.zeros(size, dtype))
    assert y.dtype == dtype and np.array_equal(y, np.arange(size))


class SameMemory(pylops.LinearOperator):
    """Doubles its input, into one array, which lies where TensorFlow would take it as it is."""

    def __init__(self, n, dtype):
        super().__init__(dtype=dtype, shape=(n, n))
        memory = np.empty(n + 64, dtype)
        start = (-memory.ctypes.data % 64) // memory.itemsize
        self.result = memory[start : start + n]

    def _matvec(self, x):
        self.result[:] = 2 * x
        return self.result

    _rmatvec = _matvec


@pytest.mark.row("Precision", "an operator that gives the same array every time", "a copy")
@pytest.mark.parametrize("mode", [lambda f: f, tf.function])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [4, 1 << 16])
def test_output_is_not_the_operators_memory(size, dtype, mode):
    layer = mode(Layer(SameMemory(size, dtype)))
    ones, twos = (tf.fill([size], tf.constant(value, dtype)) for value in (1, 2))
    first = layer(ones)
    layer(twos)
    assert np.array_equal(first, 2 * np.ones(size))


# ---------------------------------------------------------------------- messages


@pytest.mark.row(
    "Messages",
    "wrong shape, dtype or batch axes, m above the stability limit, values not finite",
    "raises, naming what was expected",
)
@pytest.mark.parametrize(
    "error, words, call",
    [
        (ValueError, "must end with", lambda s, layer: layer(s.q[..., 1:])),
        (ValueError, "The model m must end with", lambda s, layer: layer(s.q, m=s.m[1:])),
        (ValueError, "does not depend on m", lambda s, layer: Layer(pylops.Identity(4))(np.ones(4), m=s.m)),
        (ValueError, "batch axes of m", lambda s, layer: layer(np.stack([s.q] * 2), m=np.stack([s.m] * 3))),
        (TypeError, "floating-point", lambda s, layer: layer(np.ones(s.F.dims, int))),
        (TypeError, "is real", lambda s, layer: layer(s.q + 1j)),
        (TypeError, "model m is real", lambda s, layer: layer(s.q, m=s.m + 0j)),
        (ValueError, "direction of x", lambda s, layer: layer.jvp(s.q, s.q[0])),
        (ValueError, "direction of m", lambda s, layer: layer.jvp(s.q, s.q, dm=s.m)),
        (ValueError, "stability limit", lambda s, layer: layer(s.q, m=s.m / 9)),
        (ValueError, "not finite", lambda s, layer: layer(s.q * np.nan)),
    ],
)
def test_messages(double, error, words, call):
    with pytest.raises(error, match=words):
        call(double, Layer(double.F))


@pytest.mark.row("Messages", "the same inside a tf.function", "raises `tf.errors.OpError` with that message")
def test_messages_from_a_graph(double):
    layer = Layer(double.F)
    with pytest.raises(tf.errors.OpError, match="stability limit"):
        tf.function(lambda m: layer(double.q, m=m))(tf.constant(double.m / 9))

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64)])
    def unknown(x):
        return apply(double.F, x)

    with pytest.raises(ValueError, match="number of axes"):
        unknown(tf.constant(double.q))


@pytest.mark.row("Keras", "`tf.function(jit_compile=True)`", "raises")
def test_xla_says_that_it_cannot(double):
    layer = Layer(double.F)
    assert not layer.supports_jit
    with pytest.raises(tf.errors.InvalidArgumentError, match="PyFuncStateless"):
        tf.function(lambda x: layer(x), jit_compile=True)(tf.constant(double.q))


def test_the_torch_adapter_stays_out():
    assert "seisops_keras.torch" not in sys.modules
