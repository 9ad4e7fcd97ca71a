"""The form of an operator as a primitive of JAX's, closed under differentiation, transposition and batching.

There are two: partials at given inputs, and their derivative along directions. The second is one equation, linear in
all directions together, so that its transpose finds the gradients in x and in m with one march.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive, Var
from jax.interpreters import ad, batching, mlir
from jax.interpreters import partial_eval as pe
from pylops import LinearOperator

from seisops.bridge import calculus, form
from seisops.bridge.calculus import Keeper
from seisops.bridge.form import FORWARD, Inputs, Partial
from seisops_jax import shim
from seisops_jax.nodes import Node, eager, staged

value_p, tangent_p = Primitive("seisops"), Primitive("seisops_tangent")
value_p.multiple_results = tangent_p.multiple_results = True


def product(op: LinearOperator, m: jax.Array | None, x: jax.Array) -> jax.Array:
    """``op.at(m=m) @ x`` over batch axes."""
    return _call(Node(op, (), ()))((FORWARD,), Inputs(m, x))[0]


def _call(node: Node) -> Callable:
    """What the rules of the form call for partials that are differentiable again."""

    def call(partials: tuple[Partial, ...], inputs: Inputs) -> list[jax.Array]:
        # What is not known is what a result is linear in; it is none of what is left to compute.
        flat = [None if ad.is_undefined_primal(a) else a for a in inputs.flat()]
        given = [a for a in flat if a is not None]
        here = replace(node, partials=tuple(partials), taken=tuple(a is not None for a in flat), keep=False)
        return value_p.bind(*shim.alike(given), node=here)

    return call


def _value_jvp(primals: Sequence, tangents: Sequence, *, node: Node) -> tuple[list, list]:
    inputs = node.inputs(primals)
    directions = node.inputs([None if type(t) is ad.Zero else t for t in tangents])
    if directions.m is not None:
        # A keeper lives as long as the derivatives of these very values: those of a graph come with every run.
        keeper = node.keeper or (Keeper() if shim.concrete(primals) else None)
        node = replace(node, keep=node.keep or node.partials == (FORWARD,), looks=True, keeper=keeper)
    values = value_p.bind(*primals, node=node)
    moved = tuple(p for p in node.partials if form.tangents(p, inputs, directions))
    results = iter(_tangent(replace(node, partials=moved, keep=False), primals, directions) if moved else ())
    return values, [
        next(results) if p in moved else ad.Zero(jax.typeof(v).to_tangent_aval())
        for p, v in zip(node.partials, values, strict=True)
    ]


def _value_transpose(cotangents: Sequence, *arguments, node: Node) -> list:
    unknown = [i for i, a in zip(node.positions, arguments, strict=True) if ad.is_undefined_primal(a)]
    if 0 in unknown:
        raise TypeError(f"{node.op!r} is not linear in its model: use jax.vjp, whose transpose is at a given model.")
    if len(unknown) > 1:
        raise TypeError(f"{node.op!r} is linear in each of its arguments alone: transpose with respect to one.")
    return _transposed(node, node.inputs(arguments), cotangents, node.positions, arguments)


def _tangent(node: Node, arguments: Sequence, directions: Inputs) -> list[jax.Array]:
    given = [a for a in directions.flat() if a is not None]
    along = tuple(a is not None for a in directions.flat())
    return tangent_p.bind(*shim.alike([*arguments, *given]), node=node, along=along)


def _push(*arguments, node: Node, along: tuple[bool, ...]) -> list[jax.Array]:
    """The derivative, partial by partial."""
    n = sum(node.taken)
    inputs, directions = node.inputs(arguments[:n]), replace(node, taken=along).inputs(arguments[n:])
    return [form.push(p, inputs, directions, _call(node)) for p in node.partials]


def _tangent_jvp(primals: Sequence, tangents: Sequence, *, node: Node, along: tuple[bool, ...]) -> tuple[list, list]:
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

    def f(*at):
        arguments = list(primals)
        for i, a in zip(moving, at, strict=True):
            arguments[i] = a
        return _push(*arguments, node=node, along=along)

    return jax.jvp(f, [primals[i] for i in moving], [tangents[i] for i in moving])


def _tangent_transpose(cotangents: Sequence, *arguments, node: Node, along: tuple[bool, ...]) -> list:
    n = sum(node.taken)
    if any(map(ad.is_undefined_primal, arguments[:n])):
        # Linear in what the derivative is taken at, such as Born modelling in its source: partial by partial.
        return _transposed_push(cotangents, arguments, node, along)
    positions = replace(node, taken=along).positions
    gradients = _transposed(node, node.inputs(arguments[:n]), cotangents, positions, arguments[n:])
    return [None] * n + gradients


def _transposed_push(cotangents: Sequence, arguments: Sequence, node: Node, along: tuple[bool, ...]) -> list:
    unknown = [i for i, a in enumerate(arguments) if ad.is_undefined_primal(a)]

    def f(*at):
        filled = dict(zip(unknown, at, strict=True))
        return _push(*(filled.get(i, a) for i, a in enumerate(arguments)), node=node, along=along)

    pull = jax.linear_transpose(f, *(arguments[i].aval for i in unknown))
    found = dict(zip(unknown, pull([ad.instantiate_zeros(c) for c in cotangents]), strict=True))
    return [found.get(i) for i in range(len(arguments))]


def _transposed(node: Node, inputs: Inputs, cotangents: Sequence, positions: list[int], arguments: Sequence) -> list:
    """The cotangents of the `arguments` at `positions` of the form, None for those that are known."""
    wanted = [False] * len(inputs.flat())
    for i, a in zip(positions, arguments, strict=True):
        wanted[i] = ad.is_undefined_primal(a)
    # The form has adjoints; transposes in JAX do not conjugate.
    given = [None if type(c) is ad.Zero else jnp.conj(c) for c in cotangents]
    totals = form.pull(node.partials, inputs, given, wanted, _call(node))
    return [None if totals[i] is None else jnp.conj(totals[i]) for i in positions]


def _avals(*arguments, node: Node, along: tuple[bool, ...] = ()) -> list:
    return [shim.aval(arguments, *output) for output in node.outputs(arguments[: sum(node.taken)])]


def _batched(arguments: Sequence, dims: Sequence, *, node: Node, along: tuple[bool, ...] = ()) -> tuple[list, list]:
    primitive, params = (tangent_p, {"along": along}) if along else (value_p, {})
    positions = [*node.positions, *(replace(node, taken=along).positions if along else ())]
    size = next(a.shape[d] for a, d in zip(arguments, dims, strict=True) if d is not None)
    # A direction has the batch axes of what it is a direction of.
    reached = {i for i, d in zip(positions, dims, strict=True) if d is not None}
    moved = []
    for i, a, d in zip(positions, arguments, dims, strict=True):
        if d is not None:
            a = jnp.moveaxis(a, d, 0)
        elif i in reached or calculus.repeats(node.op, node.partials, i, a.ndim):
            a = jnp.broadcast_to(a, (size, *a.shape))
        moved.append(a)
    results = primitive.bind(*shim.alike(moved), node=node, **params)
    return results, [0] * len(results)


def _rematerialised(saveable: Callable, unknown: Sequence[bool], there: Sequence[bool], equation) -> tuple:
    """What ``jax.checkpoint`` runs at once, and what the backward runs: it alone keeps a wavefield."""
    node, some, none = equation.params["node"], [True] * len(equation.outvars), [False] * len(equation.outvars)
    needed = [a for a, here in zip(equation.invars, there, strict=True) if isinstance(a, Var) and not here]
    if any(unknown):
        return None, equation, some, some, needed
    if shim.saved(saveable(equation.primitive, *(a.aval for a in equation.invars), **equation.params)):
        return equation, None, none, none, []
    now = equation.replace(params={"node": replace(node, keep=False)}) if node.keep else equation
    return now, equation, none, some, needed


pe.partial_eval_jaxpr_custom_rules[value_p] = _rematerialised
for primitive, value, lowered, jvp, transpose in (
    (value_p, eager, staged, _value_jvp, _value_transpose),
    (tangent_p, _push, mlir.lower_fun(_push, multiple_results=True), _tangent_jvp, _tangent_transpose),
):
    primitive.def_impl(value)
    primitive.def_abstract_eval(_avals)
    mlir.register_lowering(primitive, lowered)
    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = transpose
    batching.primitive_batchers[primitive] = _batched
