"""Every transformation of JAX around a layer: each is right or raises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from seisops_jax import Layer
from zoo import error, random, world

ROUNDING = 1e-12
W = world("2d")
LAYER = Layer(W.F)
Q, M, DM = jnp.asarray(W.q), jnp.asarray(W.model.m), jnp.asarray(W.dm)
BATCH, MODELS = jnp.stack([Q, 2 * Q]), jnp.stack([M, 0.99 * M])
J = W.F.jacobian(W.q)
VALUE = W.F @ W.q
GRADIENT = (J.H @ VALUE).reshape(M.shape)
TRANSFORMATIONS = "Transformations, at once and in `jit`"

both = pytest.mark.parametrize("mode", [lambda f: f, jax.jit], ids=["eager", "jit"])


def misfit(m, q=Q):
    return 0.5 * (LAYER(q, m=m) ** 2).sum()


@pytest.mark.row(TRANSFORMATIONS, "`grad`, `value_and_grad`, `vjp`", "exact")
@both
def test_grad_and_vjp(mode):
    assert error(mode(jax.grad(misfit))(M), GRADIENT) <= ROUNDING
    value, (by_m, by_q) = mode(jax.value_and_grad(misfit, (0, 1)))(M, Q)
    assert error(value, 0.5 * np.sum(VALUE**2)) <= ROUNDING
    assert error(by_m, GRADIENT) <= ROUNDING
    assert error(by_q, W.F.H @ VALUE) <= ROUNDING
    y, pull = jax.vjp(lambda m: LAYER(Q, m=m), M)
    assert error(mode(pull)(y)[0], GRADIENT) <= ROUNDING
    assert error(mode(lambda m: jax.vjp(lambda m: LAYER(Q, m=m), m)[1](y)[0])(M), GRADIENT) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`jvp`, in x, in m and in both", "exact")
@both
def test_jvp(mode):
    by_x, by_m = 2 * VALUE, J @ W.dm
    assert error(mode(lambda m, d: jax.jvp(lambda m: LAYER(Q, m=m), (m,), (d,))[1])(M, DM), by_m) <= ROUNDING
    together = mode(lambda *a: jax.jvp(LAYER, a, (2 * Q, DM))[1])(Q, M)
    assert error(together, by_x + by_m) <= ROUNDING
    assert error(mode(lambda q: jax.jvp(LAYER, (q,), (2 * q,))[1])(Q), by_x) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`linearize`, whose graph outlives the call", "exact")
@both
def test_linearize(mode):
    y, push = jax.linearize(LAYER, Q, M)
    assert error(y, VALUE) <= ROUNDING
    assert error(mode(push)(2 * Q, DM), 2 * VALUE + J @ W.dm) <= ROUNDING
    back = jax.linear_transpose(push, Q, M)(jnp.asarray(VALUE))
    assert error(back[0], W.F.H @ VALUE) <= ROUNDING
    assert error(back[1], GRADIENT) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`linear_transpose` in x, of transposes too", "exact")
@both
def test_linear_transpose(mode):
    def transpose(y):
        return jax.linear_transpose(lambda q: LAYER(q, m=1.01 * M), Q)(y)[0]

    F = W.F.at(m=1.01 * W.model.m)
    assert error(mode(transpose)(VALUE), F.H @ VALUE) <= ROUNDING
    assert error(mode(lambda q: jax.linear_transpose(transpose, VALUE)(q)[0])(Q), F @ W.q) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`linear_transpose` in m, or in x and m", "raises: it is not linear in m")
def test_a_layer_is_not_linear_in_the_model():
    with pytest.raises(TypeError, match=r"not linear in its model: use jax\.vjp"):
        jax.linear_transpose(lambda m: LAYER(Q, m=m), M)(VALUE)
    with pytest.raises(TypeError, match="not linear in its model"):
        jax.linear_transpose(LAYER, Q, M)(VALUE)


@pytest.mark.row(TRANSFORMATIONS, "`linear_transpose` of Born modelling in x or in dm; in both", "exact; raises")
def test_a_product_is_linear_in_each_argument_alone():
    def born(q, dm):
        return jax.jvp(lambda m: LAYER(q, m=m), (M,), (dm,))[1]

    assert error(jax.linear_transpose(lambda dm: born(Q, dm), DM)(VALUE)[0], GRADIENT) <= ROUNDING
    back = jax.linear_transpose(lambda q: born(q, DM), Q)(VALUE)[0]
    assert error(np.vdot(back, W.q), np.vdot(VALUE, J @ W.dm)) <= ROUNDING
    with pytest.raises(TypeError, match="in each of its arguments alone"):
        jax.linear_transpose(born, Q, DM)(VALUE)


DIRECTIONS = jnp.stack([DM, jnp.asarray(0.05 * W.model.m * random(M.shape, 8))])


def along(a, scale=0.0):
    """A function of the amounts of two perturbations of the model, and of the source."""
    return misfit(M + jnp.tensordot(a, DIRECTIONS, 1), Q * (1 + scale * a[0]))


def exact_hessian():
    r, d = VALUE, np.asarray(DIRECTIONS)
    return np.array([[np.vdot(J @ a, J @ b) + np.vdot(r, J.jacobian(a) @ b) for b in d] for a in d])


ORDERS = {
    "hessian": jax.hessian,
    "jacfwd(jacrev)": lambda f: jax.jacfwd(jax.jacrev(f)),
    "jacrev(jacrev)": lambda f: jax.jacrev(jax.jacrev(f)),
    "jacrev(jacfwd)": lambda f: jax.jacrev(jax.jacfwd(f)),
    "jacfwd(jacfwd)": lambda f: jax.jacfwd(jax.jacfwd(f)),
}


@pytest.mark.row(TRANSFORMATIONS, "`hessian`; `jacfwd` and `jacrev` over either", "exact, by Born-type solves")
@pytest.mark.parametrize("order", ORDERS)
@both
def test_hessian(order, mode):
    assert error(mode(ORDERS[order](along))(jnp.zeros(2)), exact_hessian()) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`hessian` of a function of x and m together", "exact")
@pytest.mark.parametrize("order", list(ORDERS)[2:])
def test_hessian_in_the_input_and_the_model_together(order):
    def f(a):
        return along(a, scale=0.7)

    assert error(ORDERS[order](f)(jnp.zeros(2)), jax.hessian(f)(jnp.zeros(2))) <= ROUNDING
    # Along the source the misfit is a square: (1 + 0.7 t)², whose second derivative is known.
    assert error(jax.hessian(lambda t: misfit(M, Q * (1 + 0.7 * t)))(0.0), 0.49 * np.vdot(VALUE, VALUE)) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`vmap` over x, over m, over both, nested", "exact")
@both
def test_vmap(mode):
    expected = np.stack([VALUE, 2 * VALUE])
    slower = W.F.at(m=0.99 * W.model.m) @ W.q
    assert error(mode(jax.vmap(LAYER))(BATCH), expected) <= ROUNDING
    assert error(mode(jax.vmap(LAYER, in_axes=2, out_axes=1))(jnp.moveaxis(BATCH, 0, 2)),
                 np.moveaxis(expected, 0, 1)) <= ROUNDING  # fmt: skip
    assert error(mode(jax.vmap(lambda m: LAYER(Q, m=m)))(MODELS), np.stack([VALUE, slower])) <= ROUNDING
    assert error(mode(jax.vmap(LAYER))(BATCH, MODELS), np.stack([VALUE, 2 * slower])) <= ROUNDING
    nested = mode(jax.vmap(jax.vmap(LAYER, (0, None)), (None, 0)))(BATCH, MODELS)
    assert error(nested, np.stack([expected, np.stack([slower, 2 * slower])])) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`vmap` of `grad`, of `jvp` and of `hessian`: per sample", "exact")
@both
def test_vmap_of_derivatives(mode):
    per_sample = mode(jax.vmap(jax.grad(misfit), (None, 0)))(M, BATCH)
    assert error(per_sample, np.stack([GRADIENT, 4 * GRADIENT])) <= ROUNDING
    by_m, by_q = mode(jax.vmap(jax.grad(misfit, (0, 1)), (None, 0)))(M, BATCH)
    assert error(by_m, per_sample) <= ROUNDING
    assert error(by_q, np.stack([W.F.H @ VALUE, 2 * (W.F.H @ VALUE)])) <= ROUNDING
    # One perturbation of several models: what it gives in each, and the sum of what comes back.
    born = jax.vmap(lambda m, d: jax.jvp(lambda m: LAYER(Q, m=m), (m,), (d,))[1], (0, None))
    others = [W.F.at(m=np.asarray(m)).jacobian(W.q) for m in MODELS]
    assert error(mode(born)(MODELS, DM), np.stack([o @ W.dm for o in others])) <= ROUNDING
    back = mode(jax.grad(lambda d: (VALUE * born(MODELS, d)).sum()))(DM)
    assert error(back.ravel(), sum(o.rmatvec(VALUE.ravel()) for o in others)) <= ROUNDING
    steps = mode(jax.vmap(lambda d: jax.jvp(lambda m: LAYER(Q, m=m), (M,), (d,))[1]))(DIRECTIONS)
    assert error(steps, np.stack([J @ np.asarray(d) for d in DIRECTIONS])) <= ROUNDING
    hessians = mode(jax.vmap(lambda s: jax.hessian(lambda a: along(a) * s)(jnp.zeros(2))))(jnp.array([1.0, 3.0]))
    assert error(hessians, np.stack([exact_hessian(), 3 * exact_hessian()])) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`vmap` over x while m has a batch axis of its own, and of gradients", "exact")
@both
def test_samples_and_models_in_batches_of_their_own(mode):
    x = jnp.asarray(random((3, 2, *W.F.dims)))

    def loss(s, m):
        return (LAYER(s, m=m) ** 2).sum()

    for f in (LAYER, jax.grad(loss), jax.grad(loss, 1)):
        expected = jnp.stack([f(s, MODELS) for s in x])
        assert error(mode(jax.vmap(f, (0, None)))(x, MODELS), expected) <= ROUNDING
    # The gradient of the sum is the sum of the gradients, whatever is batched first.
    total = mode(jax.grad(lambda m: jax.vmap(loss, (0, None))(x, m).sum()))(MODELS)
    assert error(total, sum(jax.grad(loss, 1)(s, MODELS) for s in x)) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`checkpoint`, with its policies", "exact")
@pytest.mark.parametrize("policy", ["nothing_saveable", "everything_saveable", "dots_saveable"])
@both
def test_checkpoint(policy, mode):
    f = jax.checkpoint(misfit, policy=getattr(jax.checkpoint_policies, policy))
    assert error(mode(jax.grad(f))(M), GRADIENT) <= ROUNDING
    assert error(mode(jax.hessian(jax.checkpoint(along)))(jnp.zeros(2)), exact_hessian()) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`scan` and its gradients; `lax.map`, `while_loop`, `cond`", "exact")
@both
def test_control_flow(mode):
    def total(m):
        return jax.lax.scan(lambda carry, q: (carry + misfit(m, q), None), 0.0, BATCH)[0]

    def unrolled(m):
        return jax.lax.scan(lambda m, k: (m * (1 + 1e-3 * misfit(m, k * Q)), None), m, jnp.array([0.1, 0.2]))[0].sum()

    def by_hand(m):
        for k in (0.1, 0.2):
            m = m * (1 + 1e-3 * misfit(m, k * Q))
        return m.sum()

    assert error(mode(total)(M), 5 * misfit(M)) <= ROUNDING
    assert error(mode(jax.grad(total))(M), 5 * GRADIENT) <= ROUNDING
    assert error(mode(jax.grad(unrolled))(M), jax.grad(by_hand)(M)) <= ROUNDING
    assert error(mode(jax.vmap(jax.grad(total)))(MODELS)[0], 5 * GRADIENT) <= ROUNDING
    assert error(mode(lambda b: jax.lax.map(LAYER, b))(BATCH), np.stack([VALUE, 2 * VALUE])) <= ROUNDING
    chosen = mode(jax.grad(lambda m: jax.lax.cond(m[0, 0] > 0, misfit, lambda m: m.sum(), m)))
    assert error(chosen(M), GRADIENT) <= ROUNDING
    looped = mode(lambda q: jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, LAYER(q)), (0, 0 * LAYER(q))))
    assert error(looped(Q)[1], VALUE) <= ROUNDING


MESH = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,))
SHOTS, ALL = PartitionSpec("i"), PartitionSpec()


@pytest.mark.row(
    TRANSFORMATIONS, "`shard_map` over two devices, with and without `check_vma`", "exact, gradients inside and out"
)
@pytest.mark.parametrize("check_vma", [True, False])
@both
def test_shard_map(check_vma, mode):
    def mapped(f, out):
        return jax.shard_map(f, mesh=MESH, in_specs=(ALL, SHOTS), out_specs=out, check_vma=check_vma)

    total = mapped(lambda m, q: jax.lax.psum(misfit(m, q), "i"), ALL)
    assert error(mode(total)(M, BATCH), 5 * misfit(M)) <= ROUNDING
    by_m, by_q = mode(jax.grad(total, (0, 1)))(M, BATCH)
    assert error(by_m, 5 * GRADIENT) <= ROUNDING
    assert error(by_q, np.stack([W.F.H @ VALUE, 2 * (W.F.H @ VALUE)])) <= ROUNDING
    data = mode(mapped(lambda m, q: LAYER(q, m=m), SHOTS))(M, BATCH)
    assert error(data, np.stack([VALUE, 2 * VALUE])) <= ROUNDING
    inside = mode(mapped(lambda m, q: jax.jvp(lambda m: LAYER(q, m=m), (m,), (DM,))[1], SHOTS))(M, BATCH)
    assert error(inside, np.stack([J @ W.dm, 2 * (J @ W.dm)])) <= ROUNDING
    if check_vma:
        # JAX knows that m is the same on all devices, and sums.
        summed = mode(mapped(jax.grad(misfit), ALL))(M, BATCH)
        assert error(summed, 5 * GRADIENT) <= ROUNDING
    else:
        each = mode(mapped(jax.grad(misfit), SHOTS))(M, BATCH)
        assert error(each, np.concatenate([GRADIENT, 4 * GRADIENT])) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`pmap` over two devices", "exact")
def test_pmap():
    each = jax.pmap(jax.grad(misfit), in_axes=(None, 0))(M, BATCH)
    assert error(each, np.stack([GRADIENT, 4 * GRADIENT])) <= ROUNDING
    summed = jax.pmap(lambda m, q: jax.lax.psum(jax.grad(misfit)(m, q), "i"), "i", in_axes=(None, 0))(M, BATCH)
    assert error(summed[1], 5 * GRADIENT) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "arrays that are spread over two devices", "exact, gathered on one")
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@both
def test_sharded_arrays(kind, mode):
    mesh = jax.make_mesh((2,), ("i",), axis_types=(kind,))
    spread = jax.device_put(BATCH, NamedSharding(mesh, SHOTS))
    with jax.set_mesh(mesh):
        assert error(mode(LAYER)(spread), np.stack([VALUE, 2 * VALUE])) <= ROUNDING
        assert error(mode(jax.grad(misfit))(M, spread), 5 * GRADIENT) <= ROUNDING
        by_q = np.stack([W.F.H @ VALUE, 2 * (W.F.H @ VALUE)])
        assert error(mode(jax.grad(misfit, 1))(M, spread), by_q) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`jit` ahead of time: `lower`, `compile`", "exact")
def test_ahead_of_time():
    assert error(jax.jit(jax.grad(misfit)).lower(M).compile()(M), GRADIENT) <= ROUNDING


@pytest.mark.row(TRANSFORMATIONS, "`eval_shape`, `make_jaxpr`", "without running")
def test_shapes_without_running(counted):
    q, batch = jax.ShapeDtypeStruct(Q.shape, Q.dtype), jax.ShapeDtypeStruct((4, *Q.shape), Q.dtype)

    def look():
        assert jax.eval_shape(LAYER, q).shape == W.F.dimsd
        assert jax.eval_shape(LAYER, batch).shape == (4, *W.F.dimsd)
        assert "seisops" in str(jax.make_jaxpr(jax.grad(misfit))(M))

    assert counted(look) == 0


@pytest.mark.row(TRANSFORMATIONS, "`jax.export`", "raises: what calls back cannot leave the process")
def test_export_is_refused_by_jax():
    with pytest.raises(NotImplementedError, match="callback"):
        jax.export.export(jax.jit(LAYER))(Q).serialize()
