"""The questions that JAX answers under names that move from version to version."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax.core import ShapedArray, Tracer
from jax.sharding import NamedSharding, PartitionSpec, Sharding

try:
    from jax._src.util import weakref_cache_key_types
except ImportError:
    weakref_cache_key_types = set()


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
