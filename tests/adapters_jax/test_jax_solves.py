"""How many marches a layer takes, and what it keeps for its derivatives."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from seisops_jax import Layer, apply
from zoo import world

import seisops as so
from seisops.algebra import Linearization
from seisops.bridge import waiting

W = world("2d")
Q, M = jnp.asarray(W.q), jnp.asarray(W.model.m)

both = pytest.mark.parametrize("mode", [lambda f: f, jax.jit], ids=["eager", "jit"])


@pytest.fixture
def layer():
    return Layer(W.F)


@pytest.fixture
def solves(counted):
    """Marches a shot that a call takes once it is compiled."""

    def count(f, *arguments):
        jax.block_until_ready(f(*arguments))
        return counted(lambda: jax.block_until_ready(f(*arguments)))

    return count


# ---------------------------------------------------------------------- solves


@pytest.mark.row("Solves a shot", "forward", "1")
@both
def test_inference_is_one_solve(layer, solves, mode):
    assert solves(mode(layer), Q) == 1
    assert solves(mode(layer), Q, M) == 1
    assert solves(mode(jax.vmap(layer)), jnp.stack([Q, 2 * Q])) == 2


@pytest.mark.row("Solves a shot", "gradient in x, in m or in both, its forward included", "2")
@pytest.mark.parametrize("argument", [0, 1, (0, 1)])
@pytest.mark.parametrize("power", [1, 2])
@both
def test_a_gradient_is_two_solves(layer, solves, mode, argument, power):
    step = mode(jax.value_and_grad(lambda q, m: (layer(q, m=m) ** power).sum(), argument))
    assert solves(step, Q, M) == 2
    assert solves(mode(jax.grad(lambda q, m: (layer(q, m=m) ** 2).sum(), argument)), Q, M) == 2


@pytest.mark.row("Solves a shot", "gradient of several samples by `vmap`", "2 a sample")
@both
def test_gradients_of_samples(layer, solves, mode):
    each = jax.vmap(jax.grad(lambda q, m: (layer(q, m=m) ** 2).sum(), (0, 1)), (0, None))
    assert solves(mode(each), jnp.stack([Q, 2 * Q]), M) == 4


@pytest.mark.row("Solves a shot", "`vjp`: forward, and every call of what it gives", "1 and 1")
def test_a_pullback_may_be_called_again(layer, solves):
    y, pull = jax.vjp(layer, Q, M)
    assert solves(pull, y) == 1
    assert solves(jax.jit(pull), y) == 1


@pytest.mark.row("Solves a shot", "`jvp` in m: the field and its perturbation", "2")
@both
def test_forward_mode(layer, solves, mode):
    dm = jnp.asarray(W.dm)
    assert solves(mode(lambda m: jax.jvp(lambda m: layer(Q, m=m), (m,), (dm,))), M) == 2
    push = jax.linearize(lambda m: layer(Q, m=m), M)[1]
    assert solves(mode(push), dm) == 1


@pytest.mark.row("Solves a shot", "gradient under `checkpoint`, its forward included", "3: the background once more")
@both
def test_checkpoint(layer, solves, mode):
    f = jax.checkpoint(lambda m: (layer(Q, m=m) ** 2).sum())
    assert solves(mode(jax.value_and_grad(f)), M) == 3


@pytest.mark.row("Solves a shot", "gradient of n steps of a `scan`", "2 n; 3 a step beyond the last 16")
def test_a_scan(layer, solves):
    def total(m):
        return jax.lax.scan(lambda s, k: (s + (layer(k * Q, m=m) ** 2).sum(), None), 0.0, jnp.arange(1.0, 4.0))[0]

    assert solves(jax.jit(jax.value_and_grad(total)), M) == 6


@pytest.mark.row("Solves a shot", "a product, or a gradient, that nobody uses", "0")
def test_what_nobody_uses_is_not_solved(layer, solves):
    @jax.jit
    def run(q):
        layer(q)
        return q.sum()

    assert solves(run, Q) == 0
    y, pull = jax.vjp(lambda w: (w * layer(Q, m=M)).sum(), 1.0)
    assert solves(pull, y) == 0


@pytest.mark.row("Solves a shot", "gradient, where the storage keeps no wavefield", "more, for the same gradient")
@both
def test_the_background_is_marched_again_only_where_the_storage_says_so(solves, mode):
    gradients = []
    for storage in (so.storage.Memory(), so.storage.Checkpointed(3)):
        configured = Layer(W.F.configured(storage=storage))
        step = mode(jax.grad(lambda m, f=configured: (f(Q, m=m) ** 2).sum()))
        assert (solves(step, M) == 2) == isinstance(storage, so.storage.Memory)
        gradients.append(step(M))
    assert np.array_equal(*gradients)


# ---------------------------------------------------------------------- what is kept


def alive() -> int:
    gc.collect()
    # isinstance would ask proxies of other packages for their class, and some warn.
    return sum(issubclass(type(thing), Linearization) for thing in gc.get_objects())


def kept(operator) -> list:
    return waiting.waiting(operator)._left


def test_wavefields_go_with_the_derivatives(layer):
    before = alive()
    _, pull = jax.vjp(layer, Q, 1.01 * M)
    assert alive() == before + 1
    del pull
    assert alive() == before
    for k in (1.0, 1.01, 1.02):
        jax.grad(lambda m: (layer(Q, m=m) ** 2).sum())(k * M)
    assert alive() == before


def test_a_checkpoint_keeps_no_wavefield(layer):
    before = alive()
    _, pull = jax.vjp(jax.checkpoint(layer), Q, 1.02 * M)
    assert alive() == before
    del pull


def test_compiled_functions_leave_no_wavefield_behind():
    op = 3 * W.F
    step = jax.jit(jax.value_and_grad(lambda m: (apply(op, Q, m) ** 2).sum()))
    for k in (1.0, 1.01, 1.02):
        jax.block_until_ready(step(k * M))
    assert not kept(op)


def test_compiled_functions_of_a_constant_model_keep_no_wavefield():
    before = alive()
    step = jax.jit(lambda s: s * jax.grad(lambda m: (apply(3 * W.F, Q, m) ** 2).sum())(M))
    jax.block_until_ready(step(1.0))
    assert alive() == before


def test_wavefields_without_a_backward_are_bounded(monkeypatch):
    monkeypatch.setattr(waiting, "WAITING", 2)
    op = 3 * W.F
    forward = jax.jit(lambda m: jax.vjp(lambda m: apply(op, Q, m), m)[0])
    for k in (1.0, 1.01, 1.02):
        jax.block_until_ready(forward(k * M))
    assert len(kept(op)) == 2


def test_operators_go_with_the_functions_of_them():
    def use():
        op = 3 * W.F
        f = jax.jit(jax.grad(lambda m: (apply(op, Q, m) ** 2).sum()))
        jax.block_until_ready(f(M))
        jax.grad(lambda m: apply(op, Q, m).sum())(M)
        return weakref.ref(op)

    reference = use()
    gc.collect()
    assert reference() is None
