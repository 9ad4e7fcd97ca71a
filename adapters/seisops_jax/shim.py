"""The questions that JAX answers under names that move from version to version."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
from jax.core import ShapedArray, Tracer
from jax.interpreters import mlir
from jax.sharding import NamedSharding, PartitionSpec, Sharding
from numpy.typing import NDArray

try:
    from jax._src.util import weakref_cache_key_types
except ImportError:
    weakref_cache_key_types = set()
try:
    from jax._src.callback import _callback_op_sharding as callback_sharding
except ImportError:
    callback_sharding = None


def passing(cls: type) -> type:
    """Let JAX's caches refer to a class of parameters weakly: they would hold operators and wavefields for good."""
    weakref_cache_key_types.add(cls)
    return cls


def alike(arguments: Sequence[jax.Array]) -> list[jax.Array]:
    """The arguments, whole, and inside of ``shard_map`` all varying over the axes that one of them varies over."""
    arguments = [_undivided(a) for a in arguments]
    varying = [jax.typeof(a).mat.varying for a in arguments]
    axes = frozenset().union(*varying)
    if not axes:
        return arguments
    return [
        jax.lax.pcast(a, tuple(sorted(axes - here)), to="varying") if axes - here else a
        for a, here in zip(arguments, varying, strict=True)
    ]


def _undivided(a: jax.Array) -> jax.Array:
    """An array whose type does not say that it is divided among devices, as it does where axes are explicit."""
    divided = any(axis is not None for axis in jax.typeof(a).sharding.spec)
    return jax.sharding.reshard(a, PartitionSpec(*[None] * a.ndim)) if divided else a


def called_back(context, call: Callable[..., Sequence[NDArray]], arguments: Sequence) -> Sequence:
    """What a compiled function has of `call`, which gets its arguments as arrays of NumPy.

    ``jax.pure_callback`` puts every argument on a device for it, and takes it from there again.
    """
    if callback_sharding is None:
        outputs = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in context.avals_out]
        called = mlir.lower_fun(lambda *a: jax.pure_callback(call, outputs, *a), multiple_results=True)
        return called(context, *arguments)
    avals = context.avals_in, context.avals_out
    where = callback_sharding(context.module_context.axis_context, None, context.avals_out)
    return mlir.emit_python_callback(
        context, call, None, list(arguments), *avals, has_side_effect=False, returns_token=False, sharding=where
    )[0]


def concrete(values: Sequence) -> bool:
    """Whether there are values under all derivatives and batches that are being taken, and no graph."""
    return not any(isinstance(_under(a), Tracer) for a in values)


def _under(a):
    while isinstance(a, Tracer):
        name = {"JVPTracer": "primal", "LinearizeTracer": "primal", "BatchTracer": "val"}.get(type(a).__name__)
        if name is None:
            return a
        a = getattr(a, name)
    return a


def aval(arguments: Sequence, shape: tuple[int, ...], dtype) -> ShapedArray:
    """The type of a result of `shape`, which varies over the axes of a mesh that the arguments vary over."""
    like = next((a for a in arguments if not a.sharding.mesh.empty), arguments[0])
    sharding = like.sharding.update(spec=PartitionSpec(*[None] * len(shape)))
    return ShapedArray(shape, dtype, sharding=sharding, manual_axis_type=like.mat)


def whole(sharding: Sharding | None) -> Sharding | None:
    """Where a result goes whose arguments lie as `sharding` says: to all its devices, undivided."""
    return NamedSharding(sharding.mesh, PartitionSpec()) if isinstance(sharding, NamedSharding) else sharding


def saved(policy) -> bool:
    """Whether a policy of ``jax.checkpoint`` lets a value stay: it answers by a bool, or by a class without a name."""
    return policy if isinstance(policy, bool) else type(policy).__name__ != "RecomputeType"
