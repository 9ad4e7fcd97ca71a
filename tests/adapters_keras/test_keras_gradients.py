"""Derivatives through TensorFlow against the operators' own, in eager mode and in graphs."""

import numpy as np
import pylops
import pytest
import tensorflow as tf
from seisops_keras import Layer, apply


def constants(*arrays):
    return [tf.constant(a) for a in arrays]


def gradient(f, *at):
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = f(*at)
    return tape.gradient(value, at)


def along(f, at, direction):
    """The Hessian of f times a direction."""
    return gradient(lambda a: tf.reduce_sum(gradient(f, a)[0] * direction), at)[0]


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function", "gradient in x and m", "the adjoint and the migration"
)
@pytest.mark.parametrize("name", ["F", "E", "F.H", "sum"])
def test_first_derivatives_are_the_adjoint_and_the_migration(double, rng, mode, near, name):
    op = {"F": double.F, "E": double.E, "F.H": double.F.H, "sum": 2 * double.F - 3 * double.F}[name]
    x, w = rng.standard_normal(op.dims), rng.standard_normal(op.dimsd)
    gx, gm = mode(lambda x, m: gradient(lambda x, m: tf.reduce_sum(w * apply(op, x, m)), x, m))(*constants(x, double.m))
    near(gx, op.H @ w)
    near(gm, op.jacobian(x).H @ w)


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function", "the model by its velocity: first and second order in v", "exact"
)
@pytest.mark.parametrize("of", [lambda op: lambda x, v: apply(op, x, v=v), Layer], ids=["apply", "Layer"])
def test_the_velocity_instead_of_the_squared_slowness(double, mode, near, of):
    v, dv, w = double.m**-0.5, double.dm, double.w
    layer, q = of(double.F), tf.constant(double.q)

    def loss(v):
        return tf.reduce_sum(w * layer(q, v=v))

    first, second = mode(lambda v: (gradient(loss, v)[0], along(loss, v, dv)))(tf.constant(v))
    # By the chain rule through m = 1/v².
    J = double.F.at(m=v**-2).jacobian(double.q)
    near(first, -2 * v**-3 * (J.H @ w))
    bent = J.jacobian(-2 * v**-3 * dv).H @ w
    near(second, -2 * v**-3 * bent + 6 * v**-4 * dv * (J.H @ w))


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "scaled loss", "exact")
def test_scaled_loss(double, mode, near):
    def run(x, m):
        return gradient(lambda x, m: 10 * tf.reduce_sum(double.w * apply(double.F, x, m)), x, m)

    gx, gm = mode(run)(*constants(double.q, double.m))
    near(gx, 10 * (double.F.H @ double.w))
    near(gm, 10 * (double.F.jacobian(double.q).H @ double.w))


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function",
    "overflowing loss scale",
    "gradient not finite, for the scaler to skip",
)
@pytest.mark.parametrize("factor", [np.inf, np.nan])
def test_overflowing_gradients_come_back_as_such(double, mode, factor):
    # A loss-scaling optimizer skips the step on them.
    def run(x, m):
        return gradient(lambda x, m: factor * tf.reduce_sum(apply(double.F, x, m)), x, m)

    for g in mode(run)(*constants(double.q, double.m)):
        assert np.isnan(g).all()


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function", "two forwards with different m before either backward", "exact"
)
def test_two_forwards_with_different_models_before_either_backward(double, mode, near):
    F, other = double.F, double.m + double.dm

    def run(m1, m2):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([m1, m2])
            l1 = tf.reduce_sum(double.w * apply(F, double.q, m1))
            l2 = tf.reduce_sum(double.w * apply(F, double.q, m2))
        return tape.gradient(l2, m2), tape.gradient(l1, m1)

    second, first = mode(run)(*constants(double.m, other))
    near(first, F.jacobian(double.q).H @ double.w)
    near(second, F.at(m=other).jacobian(double.q).H @ double.w)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "gradient in m against finite differences", "1e-7")
def test_gradient_in_the_model_against_finite_differences(double, mode, near):
    f = mode(lambda m: tf.reduce_sum(apply(double.F, double.q, m) ** 2))
    m, h = tf.constant(double.m), 1e-5
    slope = (f(m + h * double.dm) - f(m - h * double.dm)) / (2 * h)
    near(tf.reduce_sum(gradient(f, m)[0] * double.dm), slope, 1e-7)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "Hessian of a regularised loss", "exact")
def test_regularised_hessian(double, rng, mode, near):
    v = rng.standard_normal(double.F.dims)

    def loss(x):
        return tf.reduce_sum(apply(double.F, x) ** 2) + tf.reduce_sum(x**2)

    hessian = mode(lambda x: along(loss, x, v))(tf.constant(double.q))
    near(hessian, 2 * (double.F.H @ (double.F @ v)) + 2 * v)


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function", "second order in m, and in x and m", "exact, by Born-type solves"
)
def test_second_derivatives_in_the_model(double, mode, near):
    F, J = double.F, double.F.jacobian(double.q)

    def run(x, m):
        def inner(x, m):
            gm = gradient(lambda m: tf.reduce_sum(double.w * apply(F, x, m)), m)[0]
            return tf.reduce_sum(gm * double.dm)

        return gradient(inner, x, m)

    mixed, hessian = mode(run)(*constants(double.q, double.m))
    near(hessian, J.jacobian(double.dm).H @ double.w)
    near(mixed, F.H.jacobian(double.w) @ double.dm)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "third order in m", "exact")
def test_third_derivatives_in_the_model(double, mode, near):
    def second(m):
        return along(lambda m: tf.reduce_sum(double.w * apply(double.F, double.q, m)), m, double.dm)

    third = mode(lambda m: gradient(lambda m: tf.reduce_sum(second(m) * double.dm), m)[0])
    m, h = tf.constant(double.m), 1e-3
    near(third(m), (second(m + h * double.dm) - second(m - h * double.dm)) / (2 * h), 1e-5)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "`tape.jacobian`, by pfor and one by one", "exact")
@pytest.mark.parametrize("pfor", [True, False])
def test_jacobian(double, rng, mode, near, pfor):
    directions = 0.02 * rng.standard_normal((3, *double.model.shape))
    J = double.F.jacobian(double.q)

    def run(c):
        with tf.GradientTape(persistent=not pfor) as tape:
            tape.watch(c)
            y = apply(double.F, double.q, double.m + tf.tensordot(c, directions, 1))
            y = tf.reshape(y, [-1])[20:24]
        return tape.jacobian(y, c, experimental_use_pfor=pfor)

    expected = np.stack([(J @ d).ravel()[20:24] for d in directions], axis=1)
    near(mode(run)(tf.zeros(3, tf.float64)), expected)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "`tape.batch_jacobian`, `tf.vectorized_map`", "exact")
def test_batch_jacobian_and_vectorized_map(rng, mode, near):
    M = pylops.MatrixMult(np.arange(12.0).reshape(3, 4))
    x = tf.constant(rng.standard_normal((5, 4)))

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = apply(M, x) ** 2
        return tape.batch_jacobian(y, x), tf.vectorized_map(lambda a: apply(M, a) ** 2, x), y

    jacobians, mapped, y = mode(run)(x)
    near(jacobians, 2 * (x.numpy() @ M.A.T)[:, :, None] * M.A)
    near(mapped, y)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "`tf.vectorized_map` of a gradient", "per sample")
def test_gradient_per_sample_by_vectorized_map(double, mode, near):
    def one(x):
        return gradient(lambda m: tf.reduce_sum(double.w * apply(double.F, x, m)), tf.constant(double.m))[0]

    per_sample = mode(lambda xs: tf.vectorized_map(one, xs))(tf.stack([double.q, 2 * double.q]))
    expected = double.F.jacobian(double.q).H @ double.w
    near(per_sample, np.stack([expected, 2 * expected]))


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "complex operators of PyLops", "exact")
def test_complex_operator(rng, mode, near):
    M = pylops.MatrixMult(rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4)), dtype="complex128")
    x, w = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for n in (4, 3))
    loss = mode(lambda x: gradient(lambda x: tf.math.real(tf.reduce_sum(np.conj(w) * apply(M, x))), x)[0])
    near(loss(tf.constant(x)), M.H @ w)
    real = mode(lambda x: gradient(lambda x: tf.math.real(tf.reduce_sum(np.conj(w) * apply(M, x))), x)[0])
    near(real(tf.constant(x.real)), (M.H @ w).real)


@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function", "batch and channel axes, shared and batched m", "exact"
)
@pytest.mark.parametrize("shared", [True, False])
def test_batch_axes(double, mode, near, shared):
    F, m2 = double.F, double.m + double.dm
    x = np.stack([double.q, 2 * double.q])[:, None]
    m = double.m if shared else np.stack([double.m, m2])[:, None]
    w = np.stack([double.w, double.w[::-1]])[:, None]

    def run(x, m):
        y = apply(F, x, m)
        return y, *gradient(lambda x, m: tf.reduce_sum(w * apply(F, x, m)), x, m)

    y, gx, gm = mode(run)(*constants(x, m))
    operators = [F, F if shared else F.at(m=m2)]
    parts = [op.jacobian(a).H @ b for op, a, b in zip(operators, x[:, 0], w[:, 0], strict=True)]
    near(y, np.stack([op @ a for op, a in zip(operators, x[:, 0], strict=True)])[:, None])
    near(gx, np.stack([op.H @ b for op, b in zip(operators, w[:, 0], strict=True)])[:, None])
    near(gm, sum(parts) if shared else np.stack(parts)[:, None])


def test_many_models_for_one_input(double, mode, near):
    models = np.stack([double.m, double.m + double.dm])

    def run(x, m):
        return gradient(lambda x, m: tf.reduce_sum(double.w * apply(double.F, x, m)), x, m)

    gx, gm = mode(run)(*constants(double.q, models))
    operators = [double.F, double.F.at(m=models[1])]
    near(gx, sum(op.H @ double.w for op in operators))
    near(gm, np.stack([op.jacobian(double.q).H @ double.w for op in operators]))


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "unknown batch size, 0 too (tf.function)", "exact")
@pytest.mark.parametrize("batched", [True, False])
def test_unknown_batch_size(double, near, batched):
    lead = (None,) if batched else ()
    signature = [
        tf.TensorSpec((None, *double.F.dims), tf.float64),
        tf.TensorSpec((*lead, *double.model.shape), tf.float64),
    ]

    @tf.function(input_signature=signature)
    def run(x, m):
        y = apply(double.F, x, m)
        assert y.shape.as_list() == [None, *double.F.dimsd]
        return y, *gradient(lambda x, m: tf.reduce_sum(double.w * apply(double.F, x, m)), x, m)

    for n in (3, 1, 0):
        x = np.stack([double.q] * n) if n else np.zeros((0, *double.F.dims))
        m = np.broadcast_to(double.m, (n, *double.model.shape)) if batched else double.m
        y, gx, gm = run(tf.constant(x), tf.constant(m))
        one = double.F.jacobian(double.q).H @ double.w
        assert y.shape == (n, *double.F.dimsd)
        near(gx, np.broadcast_to(double.F.H @ double.w, x.shape))
        near(gm, np.broadcast_to(one, m.shape) if batched else n * one)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "loop over `tf.range`", "exact")
def test_layer_called_again_and_again_in_a_loop(double, mode, near):
    layer = Layer(double.F)

    def run(m):
        with tf.GradientTape() as tape:
            tape.watch(m)
            total = tf.constant(0.0, tf.float64)
            for k in tf.range(3):
                total += tf.reduce_sum(double.w * layer(double.q * tf.cast(k + 1, tf.float64), m=m))
        return tape.gradient(total, m)

    near(mode(run)(tf.constant(double.m)), 6 * (double.F.jacobian(double.q).H @ double.w))


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "forward mode: `layer.jvp`", "exact")
def test_jvp(double, mode, near):
    layer, J = Layer(double.F), double.F.jacobian(double.q)
    x, m, dm = constants(double.q, double.m, double.dm)
    y, dy = mode(lambda: layer.jvp(x, 2 * x, m, dm))()
    near(y, double.F @ double.q)
    near(dy, 2 * (double.F @ double.q) + J @ double.dm)
    near(mode(lambda: layer.jvp(x, None, m, dm))()[1], J @ double.dm)
    near(mode(lambda: layer.jvp(x, 3 * x))()[1], 3 * (double.F @ double.q))
    assert not np.any(mode(lambda: layer.jvp(x, None, m))()[1])
    along_dm = mode(lambda m: gradient(lambda m: tf.reduce_sum(double.w * layer.jvp(x, None, m, dm)[1]), m)[0])
    near(along_dm(m), J.jacobian(double.dm).H @ double.w)


@pytest.mark.row("Derivatives, in eager mode and in tf.function", "`ForwardAccumulator` in eager mode", "exact")
@pytest.mark.row(
    "Derivatives, in eager mode and in tf.function",
    "`ForwardAccumulator` inside a tf.function",
    "raises, naming `layer.jvp`",
)
def test_forward_accumulator_is_right_or_raises(double, near):
    layer, J = Layer(double.F), double.F.jacobian(double.q)
    x, m, dm = constants(double.q, double.m, double.dm)

    def run(x, m):
        with tf.autodiff.ForwardAccumulator([x, m], [2 * x, dm]) as accumulator:
            y = layer(x, m=m)
        return accumulator.jvp(y)

    near(run(x, m), 2 * (double.F @ double.q) + J @ double.dm)
    # Forward over reverse: the tape follows the one, the accumulator the other.
    with tf.autodiff.ForwardAccumulator(m, dm) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(double.w * layer(x, m=m))
        gx = tape.gradient(value, x)
    near(accumulator.jvp(gx), double.F.H.jacobian(double.w) @ double.dm)
    with pytest.raises(NotImplementedError, match=r"layer\.jvp"):
        tf.function(run)(x, m)
    with tf.autodiff.ForwardAccumulator(x, 2 * x) as accumulator:
        y = tf.function(layer)(x)
    near(accumulator.jvp(y), 2 * (double.F @ double.q))
    # TensorFlow fails to build this graph, and then to build its error.
    with pytest.raises(TypeError, match="InternalError"), tf.autodiff.ForwardAccumulator(m, dm):
        tf.function(lambda m: layer(x, m=m))(m)


def test_gradients_that_need_no_product_are_in_aligned_memory():
    """In any other TensorFlow's vector instructions end the process."""
    layer = Layer(pylops.MatrixMult(np.ones((3, 5))))
    found = []
    for _ in range(20):
        x = tf.ones(5, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        found.append(tape.gradient(y, x, tf.zeros(3, tf.float64)))
    assert all(not np.any(g) for g in found)
    assert not any(np.asarray(memoryview(g)).__array_interface__["data"][0] % 64 for g in found)
