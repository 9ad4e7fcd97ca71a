"""The values of a layer, what surrounds it, and what it refuses."""

import copy
import doctest
import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pylops
import pytest
from seisops_jax import Layer, apply, shim
from zoo import Elsewhere, error, random, world

import seisops as so
from seisops.storage import buffers

ROUNDING = 1e-12
W = world("2d")
Q, M = jnp.asarray(W.q), jnp.asarray(W.model.m)

both = pytest.mark.parametrize("mode", [lambda f: f, jax.jit], ids=["eager", "jit"])


@pytest.fixture
def layer():
    return Layer(W.F)


# ---------------------------------------------------------------------- values


@pytest.mark.row("Values", "float64, float32, bfloat16, float16", "dtype comes back")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@both
def test_dtype_comes_back(dtype, mode):
    layer = Layer(pylops.FirstDerivative(6, dtype="float32"))
    x = jnp.arange(6, dtype=dtype)
    assert mode(layer)(x).dtype == dtype
    assert mode(jax.grad(lambda a: layer(a).sum()))(x).dtype == dtype


@pytest.mark.row("Values", "float64 variables, float32 operator", "dtype comes back")
def test_gradient_of_a_float32_layer_in_float64_variables():
    single = world("2d-float32")
    layer, m = Layer(single.F), single.model.m.astype("float64")
    by_q, by_m = jax.grad(lambda q, m: layer(q, m=m).sum(), (0, 1))(single.q, m)
    assert (by_q.dtype, by_m.dtype) == ("float64", "float64")


@pytest.mark.row("Values", "complex operators of real x", "complex")
def test_complex_values_of_real_input():
    layer = Layer(pylops.MatrixMult(random((3, 4)) + 1j, dtype="complex128"))
    assert layer(random(4)).dtype == "complex128"
    assert layer(random(4).astype("float32")).dtype == "complex64"
    assert jax.grad(lambda a: jnp.abs(layer(a)).sum())(random(4)).dtype == "float64"


@pytest.mark.row("Values", "a float64 operator without `jax_enable_x64`", "warns, naming the remedy; right to float32")
@both
def test_without_64_bits(single, mode):
    layer = Layer(W.F)
    with pytest.warns(UserWarning, match=r"computes in float64.*jax\.config\.update\('jax_enable_x64', True\)"):
        y = mode(layer)(W.q, W.model.m)
    assert y.dtype == np.float32
    assert error(y, W.F @ W.q) <= 1e-6
    with pytest.warns(UserWarning, match="jax_enable_x64"):
        gradient = mode(jax.grad(lambda m: (layer(W.q, m=m) ** 2).sum()))(jnp.asarray(W.model.m))
    assert gradient.dtype == np.float32
    assert error(gradient, 2 * (W.J.H @ (W.F @ W.q)).reshape(gradient.shape)) <= 1e-5


def test_a_float32_operator_needs_no_64_bits(single):
    single = world("2d-float32")
    assert error(Layer(single.F)(single.q.astype("float32")), single.F @ single.q.astype("float32")) == 0


@pytest.mark.row("Values", "NumPy's arrays, views, transposed and empty batches", "exact")
@both
def test_views_and_empty_batches(mode):
    layer = Layer(pylops.MatrixMult(random((3, 4))))
    x = random((4, 2))
    assert error(mode(layer)(x.T), (random((3, 4)) @ x).T) <= ROUNDING
    assert error(mode(layer)(jnp.asarray(x).T), (random((3, 4)) @ x).T) <= ROUNDING
    assert mode(layer)(jnp.zeros((0, 4))).shape == (0, 3)
    assert mode(jax.vmap(layer))(jnp.zeros((0, 4))).shape == (0, 3)


def test_compiled_functions_without_the_name_that_jax_keeps_to_itself(layer, monkeypatch):
    def compiled():
        return jax.jit(lambda m: jax.value_and_grad(lambda m: (layer(Q, m) ** 2).sum())(m))(M)

    value, gradient = compiled()
    assert shim.callback_sharding is not None
    monkeypatch.setattr(shim, "callback_sharding", None)
    again, same = compiled()
    assert abs(again - value) <= ROUNDING * value and error(same, gradient) <= ROUNDING


@pytest.mark.row("Values", "output that is the input, or an array that the operator keeps", "a copy")
@both
def test_output_never_shares_memory(mode):
    class Same(pylops.LinearOperator):
        """An operator that gives the same array again and again."""

        def __init__(self):
            super().__init__(dtype="float64", dims=(1000,), dimsd=(1000,))
            # Aligned: JAX shares such memory, and copies any other.
            self.array = buffers.take((1000,), "float64")

        def _matvec(self, x):
            self.array[:] = x
            return self.array

        _rmatvec = _matvec

    layer = Layer(Same())
    first, second = (mode(layer)(jnp.full(1000, k)) for k in (1.0, 2.0))
    assert (float(first[0]), float(second[0])) == (1, 2)
    x = buffers.take((1 << 16,), "float64")
    x[:] = 1
    y = mode(Layer(pylops.Identity(1 << 16)))(x)
    jax.block_until_ready(y)
    x[:] = 2
    assert float(y.max()) == 1


@pytest.mark.row("Values", "batch axes of x and m", "broadcast")
@both
def test_batch_of_models_and_inputs_broadcast(layer, mode):
    models = jnp.stack([M, 0.98 * M])
    y = mode(layer)(Q, models)
    assert y.shape == (2, *layer.op.dimsd)
    assert error(y[1], W.F.at(m=0.98 * W.model.m) @ W.q) <= ROUNDING
    three = mode(layer)(jnp.stack([Q, 2 * Q, 3 * Q])[:, None], models)
    assert error(three, np.stack([k * np.asarray(y) for k in (1, 2, 3)])) <= ROUNDING
    by_q = mode(jax.grad(lambda q: layer(q, models).sum()))(Q)
    assert error(by_q, sum(W.F.at(m=k * W.model.m).H @ np.ones(W.F.dimsd) for k in (1, 0.98))) <= ROUNDING
    shared = mode(jax.grad(lambda m: layer(jnp.stack([Q, 2 * Q]), m=m).sum()))(M)
    assert error(shared.ravel(), 3 * (W.J.H @ np.ones(W.F.dimsd)).ravel()) <= ROUNDING


@pytest.mark.row("Values", "arrays of the second device", "device comes back")
@both
def test_device_comes_back(layer, mode):
    second = jax.devices()[1]
    q, m = jax.device_put((Q, M), second)
    assert mode(layer)(q, m).devices() == {second}
    assert mode(jax.grad(lambda m: layer(q, m=m).sum()))(m).devices() == {second}
    # What nobody has put anywhere may be used together with what was.
    assert (layer(Q) + layer(q)).devices() == {second}


@pytest.mark.row("Values", "overflowing loss scale", "gradient not finite, for the scaler to skip")
@both
def test_an_overflowing_gradient_comes_back_as_such(layer, mode):
    assert not np.isfinite(mode(jax.grad(lambda q: layer(q).sum() * jnp.inf))(Q)).any()


def test_large_arrays_in_a_function_on_one_core():
    """A call back must not wait for the threads that wait for it."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "import jax, numpy as np, pylops; from seisops_jax import Layer;"
        "layer = Layer(pylops.Diagonal(np.full(1 << 21, 2, 'float32'), dtype='float32'));"
        "f = jax.jit(jax.grad(lambda x: (layer(x * 3) ** 2).sum()));"
        "print(float(f(jax.numpy.ones(1 << 21, 'float32')).max()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "72.0", done.stderr


# ---------------------------------------------------------------------- around


@pytest.mark.row("Around the layer", "a layer in a pytree, in arguments of `jit`, in Equinox modules", "no leaves")
def test_a_layer_is_a_part_of_pytrees(layer):
    import equinox as eqx

    traced = []

    @jax.jit
    def f(tree, q):
        traced.append(tree)
        return tree["layer"](q) * tree["weight"]

    for one in (layer, Layer(layer.op)):
        assert error(f({"layer": one, "weight": 2.0}, Q), 2 * (W.F @ W.q)) <= ROUNDING
    assert len(traced) == 1, "layers of one operator are equal"
    f({"layer": Layer(W.F2), "weight": 2.0}, Q)
    assert len(traced) == 2

    class Net(eqx.Module):
        modeling: Layer
        gain: jax.Array

        def __call__(self, q):
            return self.gain * self.modeling(q)

    net = Net(layer, jnp.asarray(3.0))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda net, q: net(q).sum()))(net, Q)
    assert error(gradient.gain, np.sum(W.F @ W.q)) <= ROUNDING
    assert jax.tree.leaves(eqx.filter(net, eqx.is_array)) == [net.gain]
    with pytest.raises(AttributeError):
        layer.op = W.F2


@pytest.mark.row("Around the layer", "pickle, deepcopy", "work")
def test_pickle_and_deepcopy(layer):
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert error(again(Q), layer(Q)) == 0
        assert error(again(Q, v=W.model.v), layer(Q, v=W.model.v)) == 0


def test_words(layer):
    assert repr(layer).startswith("Layer(Pr @ A @ Ps.H")
    assert error(layer.H(W.d), W.F.H @ W.d) == 0
    assert error(apply(W.F, Q, m=0.98 * M), W.F.at(m=0.98 * W.model.m) @ W.q) == 0


@pytest.mark.row("Around the layer", "settings of `so.config` in a compiled function", "those it was traced in")
def test_a_compiled_function_keeps_the_settings_it_was_traced_in(layer):
    pool = Elsewhere()
    # A function of its own: layers of one operator are equal, so that JAX would take what is compiled of another.
    f = jax.jit(lambda q: layer(q))
    with so.config(executor=pool):
        jax.block_until_ready(f(Q))
    before = len(pool.parcels)
    assert before > 0
    assert error(f(2 * Q), 2 * (W.F @ W.q)) <= ROUNDING
    assert len(pool.parcels) > before


ROUGH = so.storage.Frequencies([0.01])


@pytest.mark.row("Around the layer", "compiled functions of several settings, in any order", "each has its own")
def test_compiled_functions_of_several_settings(layer):
    exact, rough = (jax.jit(lambda m: layer(Q, m=m)) for _ in range(2))
    d, pull = jax.vjp(exact, M)
    with so.config(storage=ROUGH):
        _, another = jax.vjp(rough, M)
        expected = W.F.jacobian(W.q).H @ np.asarray(d)
    assert error(pull(d)[0], (W.F.jacobian(W.q).H @ np.asarray(d)).reshape(M.shape)) <= ROUNDING
    assert error(another(d)[0], expected.reshape(M.shape)) <= ROUNDING
    assert error(pull(d)[0], another(d)[0]) > 1e-3


@pytest.mark.row("Around the layer", "settings of `so.config` inside of a compiled function", "in force there")
def test_settings_inside_of_a_compiled_function(layer):
    def gradient(m):
        with so.config(storage=ROUGH):
            return jax.grad(lambda m: (layer(Q, m=m) ** 2).sum())(m)

    expected = gradient(M)
    assert error(expected, jax.grad(lambda m: (layer(Q, m=m) ** 2).sum())(M)) > 1e-3
    assert error(jax.jit(gradient)(M), expected) <= ROUNDING


@pytest.mark.row("Around the layer", "an operator that nothing but a compiled function refers to", "lives as long")
def test_an_operator_lives_as_long_as_its_graph():
    f = jax.jit(lambda q: apply(pylops.FirstDerivative(W.F.dimsd, axis=-1) @ W.F, q))
    jax.block_until_ready(f(Q))
    D = pylops.FirstDerivative(W.F.dimsd, axis=-1)
    assert error(f(2 * Q), 2 * (D @ (W.F @ W.q))) <= ROUNDING


# ---------------------------------------------------------------------- messages


@pytest.mark.row(
    "Messages",
    "wrong shape, dtype or batch axes, m above the stability limit, values not finite",
    "raises, naming what was expected",
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q, m: (q[..., :-1], m), "must end with"),
        (lambda q, m: (q, m[1:]), "The model m must end with"),
        (lambda q, m: (q.astype(int), m), "floating-point"),
        (lambda q, m: (q + 1j, m), "real: apply it to the real and the imaginary part"),
        (lambda q, m: (q, m + 0j), "model m is real"),
        (lambda q, m: (q, m * 0.1), "stability limit"),
        (lambda q, m: (q, m * np.nan), "positive and finite"),
        (lambda q, m: (q * np.nan, m), "not finite"),
        (lambda q, m: (jnp.stack([q, q, q]), jnp.stack([m, m])), "batch axes"),
    ],
)
@both
def test_wrong_input_is_refused_by_name(layer, mode, change, message):
    q, m = change(Q, M)
    refused = (ValueError, TypeError, jax.errors.JaxRuntimeError)
    with pytest.raises(refused, match=message):
        jax.block_until_ready(mode(layer)(q, m))


@pytest.mark.row("Messages", "a parameter that the medium does not have, or that is given twice", "raises")
def test_parameters_are_refused_by_name(layer):
    with pytest.raises(TypeError, match="no parameter 'rho'"):
        layer(Q, rho=M)
    with pytest.raises(TypeError, match="once more"):
        layer(Q, m=M, v=M**-0.5)
    with pytest.raises(ValueError, match="The model v must end with"):
        layer(Q, v=M[1:])


@pytest.mark.row("Messages", "m given to an operator that has none", "raises")
def test_a_constant_operator_refuses_a_model():
    with pytest.raises(ValueError, match="does not depend on m"):
        Layer(pylops.FirstDerivative(5))(jnp.ones(5), m=M)


@pytest.mark.parametrize("name", ["layer", "check"])
def test_examples_of_the_documentation(name):
    result = doctest.testmod(importlib.import_module(f"seisops_jax.{name}"))
    assert result.attempted and not result.failed


def test_the_snippets_of_the_documentation(layer):
    page = (Path(__file__).parents[2] / "docs" / "jax.md").read_text()
    names = {"jax": jax, "jnp": jnp, "op": W.F, "q": Q, "d": jnp.asarray(W.d)}
    for snippet in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(snippet, names)
    value, gradient = names["step"](jnp.asarray(W.model.v))
    expected, by_m = so.fwi(W.F, W.q, W.d)
    assert abs(value - expected) <= ROUNDING * expected
    assert error(gradient, -2 * W.model.v**-3 * by_m) <= ROUNDING
