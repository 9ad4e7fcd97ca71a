"""What a layer costs, in solves of the wave equation for every shot."""

import pytest
import tensorflow as tf
from seisops_keras import Layer, apply, nodes

from seisops.bridge import waiting


def step(layer, x, m, w, *, watch):
    with tf.GradientTape() as tape:
        tape.watch([t for t, name in ((x, "x"), (m, "m")) if name in watch])
        loss = tf.reduce_sum(w * layer(x, m=m))
    return tape.gradient(loss, [x, m])


@pytest.mark.row("Solves a shot", "forward", "1")
def test_inference_is_one_solve(double, mode, counted):
    layer, x, m = Layer(double.F), tf.constant(double.q), tf.constant(double.m)
    f, g = mode(lambda: layer(x)), mode(lambda: layer(x, m=m))
    assert counted(f) == 1
    assert counted(g) == 1


@pytest.mark.row("Solves a shot", "forward and backward, in x, in m or in both", "2")
@pytest.mark.parametrize("watch", ["x", "m", "xm"])
def test_a_step_is_two_solves(double, mode, counted, watch):
    layer, x, m = Layer(double.F), tf.constant(double.q), tf.constant(double.m)
    f = mode(lambda x, m: step(layer, x, m, double.w, watch=watch))
    for _ in range(2):
        gradients = []
        assert counted(lambda found=gradients: found.extend(f(x, m))) == 2
        assert [g is not None for g in gradients] == ["x" in watch, "m" in watch]


def test_a_step_in_x_alone_is_two_solves(double, mode, counted):
    layer = Layer(double.F)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, x)

    assert counted(lambda: mode(run)(tf.constant(double.q))) == 2


@pytest.mark.row("Solves a shot", "a product nobody uses (tf.function)", "0")
def test_what_nobody_uses_is_not_solved(double, counted):
    layer, m = Layer(double.F), tf.constant(double.m)

    @tf.function
    def run(x):
        layer(x, m=m)
        return tf.reduce_sum(x)

    assert counted(lambda: run(tf.constant(double.q))) == 0


def test_layer_used_thrice_is_six_solves(double, mode, counted):
    layer, m = Layer(double.F), tf.constant(double.m)

    def run(m):
        with tf.GradientTape() as tape:
            tape.watch(m)
            loss = sum(tf.reduce_sum(double.w * layer(k * double.q, m=m)) for k in (1.0, 2.0, 3.0))
        return tape.gradient(loss, m)

    assert counted(lambda: mode(run)(m)) == 6


@pytest.mark.row("Solves a shot", "tape outside, layer inside a tf.function", "3")
def test_tape_outside_a_graph_costs_one_more(double, counted):
    layer, x, m = Layer(double.F), tf.constant(double.q), tf.constant(double.m)
    f = tf.function(lambda x, m: layer(x, m=m))
    assert counted(lambda: step(lambda x, m: f(x, m), x, m, double.w, watch="xm")) == 3


@pytest.mark.parametrize("factor", [1.0, 0.0, float("inf")])
def test_graphs_leave_no_wavefield_behind(double, factor):
    layer, x, m = Layer(5 * double.F), tf.constant(double.q), tf.constant(double.m)
    tf.function(lambda x, m: step(layer, x, m, factor * double.w, watch="xm"))(x, m)
    assert not waiting.waiting(nodes._operators[nodes._key(layer.op)])._left


def test_wavefields_without_a_backward_are_bounded(double, monkeypatch):
    left = waiting.Waiting()
    monkeypatch.setattr(waiting, "WAITING", 2)
    monkeypatch.setattr(waiting, "waiting", lambda op: left)
    layer, m = Layer(double.F), tf.constant(double.m)

    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(m)
            return tf.reduce_sum(layer(x, m=m))

    for k in (1.0, 2.0, 3.0):
        run(tf.constant(k * double.q))
    assert len(left._left) == 2


def test_an_operator_lives_as_long_as_its_graph(double, near):
    @tf.function
    def run(x):
        return apply(2 * double.F, x)

    x = tf.constant(double.q)
    run(x)
    near(run(x), 2 * (double.F @ double.q))
