r"""What an adapter needs of an operator to make it differentiable, without any framework.

Everything a framework can ask of ``y = op(m) @ x`` is a partial derivative of one form,

.. math:: \Phi_k(m;\, x, y, \delta_1 \ldots \delta_k) =
          \langle y,\; D^k op(m)[\delta_1 \ldots \delta_k]\, x \rangle

linear in x, y and every perturbation :math:`\delta` of the model. The partial with respect to ``y`` is the
forward product (k = 0) or Born modelling (k = 1), with respect to ``x`` its adjoint, with respect to a
:math:`\delta` the gradient. The set is closed: to differentiate a partial along an input replaces
that input, to differentiate it along m gives a partial of the form with k + 1. So an adapter binds one
function, :func:`seisops.bridge.calculus.evaluate`, and two rules, :func:`push` and :func:`pull`, and has
derivatives of every order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Partial:
    """The partial of the form of `order` with respect to `slot`: "x", "y" or "m" (the last perturbation)."""

    slot: str
    order: int


FORWARD = Partial("y", 0)

# The gradients in x and in m of one product, which one march gives.
PAIR = {Partial("x", 0), Partial("m", 1)}


@dataclass(frozen=True)
class Inputs:
    """The arguments of a partial; None where it does not take one. `dm` are the perturbations."""

    m: Any = None
    x: Any = None
    y: Any = None
    dm: tuple = ()

    def map(self, function) -> Inputs:
        """`function` of every argument that is there."""

        return Inputs.unflat([None if a is None else function(a) for a in self.flat()])

    def flat(self) -> tuple:
        """All arguments in order."""
        return (self.m, self.x, self.y, *self.dm)

    @staticmethod
    def unflat(flat: Sequence) -> Inputs:
        """The inverse of :meth:`flat`."""
        m, x, y, *dm = flat
        return Inputs(m, x, y, tuple(dm))


def tangents(partial: Partial, inputs: Inputs, directions: Inputs) -> list[tuple[Partial, Inputs]]:
    """The partials whose sum is the derivative of `partial` along `directions`."""
    result = []
    for name in ("x", "y"):
        if name != partial.slot and getattr(directions, name) is not None:
            result.append((partial, replace(inputs, **{name: getattr(directions, name)})))
    for j, direction in enumerate(directions.dm):
        if direction is not None:
            result.append((partial, replace(inputs, dm=_put(inputs.dm, j, direction))))
    if directions.m is not None:
        result.append((replace(partial, order=partial.order + 1), replace(inputs, dm=(*inputs.dm, directions.m))))
    return result


def cotangents_of(
    partial: Partial, inputs: Inputs, cotangent, wanted: Sequence[bool]
) -> list[tuple[tuple[Partial, ...], Inputs, tuple[int, ...]]]:
    """The transposed derivative of `partial` at `cotangent`.

    Parameters
    ----------
    partial, inputs
        What was evaluated.
    cotangent : array of the partial's slot
    wanted : sequence of bool
        For which of ``inputs.flat()``.

    Returns
    -------
    list of (partials, inputs, positions)
        Evaluations, and where in ``inputs.flat()`` their results belong. Those of one evaluation share marches.
    """
    full = _complete(partial, inputs, cotangent)
    together: list[tuple[Partial, int]] = []
    for position, name in ((1, "x"), (2, "y")):
        # A partial evaluated together with others is handed inputs that it does not take itself.
        if wanted[position] and name != partial.slot and getattr(inputs, name) is not None:
            together.append((Partial(name, partial.order), position))
    if wanted[0]:
        together.append((Partial("m", partial.order + 1), 0))
    result = []
    if together:
        result.append((tuple(p for p, _ in together), full, tuple(i for _, i in together)))
    for j in range(len(inputs.dm)):
        if wanted[3 + j]:
            rest = replace(full, dm=full.dm[:j] + full.dm[j + 1 :])
            result.append(((Partial("m", partial.order),), rest, (3 + j,)))
    return result


def pull(
    partials: Sequence[Partial], inputs: Inputs, cotangents: Sequence, wanted: Sequence[bool], call: Callable
) -> list:
    """The gradients of ``inputs.flat()``, None where there is none.

    Parameters
    ----------
    partials, inputs
        What was evaluated.
    cotangents : sequence of tensor or None
        One for every partial.
    wanted : sequence of bool
    call : callable
        ``call(partials, inputs)``: the partials as tensors of the framework, differentiable again.
    """
    totals: list = [None] * len(inputs.flat())
    for partial, cotangent in zip(partials, cotangents, strict=True):
        if cotangent is None:
            continue
        for needed, at, positions in cotangents_of(partial, inputs, cotangent, wanted):
            # One node for those that share a march; the others each their own, so that a graph can drop them.
            single = [((p,), (i,)) for p, i in zip(needed, positions, strict=True)]
            for group, where in [(needed, positions)] if set(needed) == PAIR else single:
                for i, result in zip(where, call(group, at), strict=True):
                    totals[i] = result if totals[i] is None else totals[i] + result
    return totals


def push(partial: Partial, inputs: Inputs, directions: Inputs, call: Callable):
    """The derivative of `partial` along `directions`, `call` as in :func:`pull`; None where it is zero."""
    terms = [call((p,), at)[0] for p, at in tangents(partial, inputs, directions)]
    return sum(terms[1:], terms[0]) if terms else None


def _complete(partial: Partial, inputs: Inputs, value) -> Inputs:
    """The inputs with the missing slot filled."""
    if partial.slot == "m":
        return replace(inputs, dm=(*inputs.dm, value))
    return replace(inputs, **{partial.slot: value})


def _put(values: tuple, j: int, value) -> tuple:
    return (*values[:j], value, *values[j + 1 :])
