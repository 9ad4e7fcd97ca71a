r"""What an adapter needs of an operator to make it differentiable, without any framework.

Everything a framework can ask of ``y = op(m) @ x`` is a partial derivative of one form,

.. math:: \Phi_k(m;\, x, y, \delta_1 \ldots \delta_k) =
          \langle y,\; D^k op(m)[\delta_1 \ldots \delta_k]\, x \rangle

linear in x, y and every perturbation :math:`\delta` of the model. The partial with respect to ``y`` is the
forward product (k = 0) or Born modelling (k = 1), with respect to ``x`` its adjoint, with respect to a
:math:`\delta` the gradient. The set is closed: to differentiate a partial along an input replaces
that input, to differentiate it along m gives a partial of the form with k + 1. So an adapter binds one
function, :func:`evaluate`, and two rules, :func:`tangents` and :func:`cotangents`, and has
derivatives of every order.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Linearization, SeismicOperator, apply, check_finite, compose, derivative


@dataclass(frozen=True)
class Partial:
    """The partial of the form of `order` with respect to `slot`: "x", "y" or "m" (the last perturbation)."""

    slot: str
    order: int


FORWARD = Partial("y", 0)


@dataclass(frozen=True)
class Inputs:
    """The arguments of a partial; None where it does not take one. `dm` are the perturbations."""

    m: Any = None
    x: Any = None
    y: Any = None
    dm: tuple = ()

    def map(self, function) -> Inputs:
        """`function` of every argument that is there."""

        def f(a):
            return None if a is None else function(a)

        return Inputs(f(self.m), f(self.x), f(self.y), tuple(f(a) for a in self.dm))

    def flat(self) -> tuple:
        """All arguments in order."""
        return (self.m, self.x, self.y, *self.dm)

    @staticmethod
    def unflat(flat: Sequence) -> Inputs:
        """The inverse of :meth:`flat`."""
        m, x, y, *dm = flat
        return Inputs(m, x, y, tuple(dm))


def shape_of(op: LinearOperator, slot: str) -> tuple[int, ...]:
    """Shape of what stands in a slot, without batch axes."""
    return {"x": tuple(op.dims), "y": tuple(op.dimsd), "m": getattr(getattr(op, "model", None), "shape", ())}[slot]


# ---------------------------------------------------------------------- rules


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


def cotangents(
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


def _complete(partial: Partial, inputs: Inputs, value) -> Inputs:
    """The inputs with the missing slot filled."""
    if partial.slot == "m":
        return replace(inputs, dm=(*inputs.dm, value))
    return replace(inputs, **{partial.slot: value})


def _put(values: tuple, j: int, value) -> tuple:
    return (*values[:j], value, *values[j + 1 :])


# ---------------------------------------------------------------------- evaluation


# The highest derivative with respect to the model that the frameworks' fixed signatures carry.
MAX_ORDER = 3


@dataclass(eq=False)
class Keeper:
    """Linearisations that a forward product left for its backward, found again by what they were made of."""

    wanted: bool = True
    kept: dict[bytes, Linearization] = field(default_factory=dict)

    def find(self, op: SeismicOperator, m: NDArray | None, x: NDArray, *, make: bool) -> Linearization | None:
        """The linearisation of ``op.at(m)`` around `x`; made and kept where asked for."""
        key = hashlib.sha1(x.tobytes() + (b"" if m is None else m.tobytes())).digest()
        if key not in self.kept and make:
            self.kept[key] = (op if m is None else op.at(m=m)).linearize(x)
        return self.kept.get(key)


def evaluate(
    op: LinearOperator, partials: Sequence[Partial], inputs: Inputs, keeper: Keeper | None = None, *, copy: bool = True
) -> list[NDArray]:
    """The partials at `inputs`, over leading batch axes.

    Parameters
    ----------
    op : LinearOperator
    partials : sequence of Partial
        All of one set of inputs, so that they can share marches; each takes what it needs.
    inputs : Inputs of arrays
        Every array may have leading batch axes; one with fewer of them than the others is shared over the last. A
        gradient for the model has the model's batch axes and is summed over the others.
    keeper : Keeper, optional
        Keeps the linearisation of a forward product, or has it.
    copy : bool
        Without it the results may share memory with the inputs or the operator, for a caller that copies them anyway.

    Returns
    -------
    list of array
    """
    op = compose(op)
    arrays = inputs.map(np.asarray).flat()
    leads = _leads(op, inputs)
    batch = _batch(leads)
    wanted = outputs(op, partials, inputs)
    if not batch:
        # Large arrays cost what they are copied: once at most.
        values = zip(_item(op, partials, Inputs.unflat(arrays), keeper), partials, wanted, strict=True)
        make = np.array if copy else np.asarray
        return [make(v.real if p.slot == "m" else v, dtype).reshape(shape) for v, p, (shape, dtype) in values]
    results = [np.zeros(shape, dtype) for shape, dtype in wanted]
    ends = [shape_of(op, p.slot) for p in partials]
    for index in itertools.product(*map(range, batch)):
        item = [None if a is None else a[index[: len(lead)]] for a, lead in zip(arrays, leads, strict=True)]
        for result, p, end, value in zip(results, partials, ends, _item(op, partials, Inputs.unflat(item), keeper),
                                         strict=True):  # fmt: skip
            value = value.real if p.slot == "m" else value
            result[index[: result.ndim - len(end)]] += np.reshape(value, end)
    return results


def outputs(op: LinearOperator, partials: Sequence[Partial], inputs: Inputs) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of what :func:`evaluate` gives, from the shapes of its inputs alone."""
    leads = _leads(op, inputs)
    models = _batch([leads[0], *leads[3:]])
    return [
        ((*(models if p.slot == "m" else _batch(leads)), *shape_of(op, p.slot)),
         _real(op.dtype) if p.slot == "m" else np.dtype(op.dtype))
        for p in partials
    ]  # fmt: skip


def _leads(op: LinearOperator, inputs: Inputs) -> list[tuple[int, ...]]:
    """The batch axes of every argument."""
    names = ["m", "x", "y", *"m" * len(inputs.dm)]
    return [
        () if a is None else tuple(a.shape[: len(a.shape) - len(shape_of(op, name))])
        for a, name in zip(inputs.flat(), names, strict=True)
    ]


def _batch(leads: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return max(leads, key=len, default=())


def _item(op: LinearOperator, partials: Sequence[Partial], at: Inputs, keeper: Keeper | None) -> list[NDArray]:
    """The partials for one item of a batch."""
    values = [a for a in (at.x, at.y, *at.dm) if a is not None]
    if tuple(partials) == (FORWARD,):
        check_finite(op, values[0])
    elif not all(np.all(np.isfinite(a)) for a in values):
        # An overflow on its way back through a network is the network's business: a loss scaler looks for it.
        return [np.full(shape_of(op, p.slot), np.nan) for p in partials]
    # A linearisation marches real wavefields; what a complex operator does to them is differentiated part by part.
    linear = isinstance(op, SeismicOperator) and not np.issubdtype(op.dtype, np.complexfloating)
    if keeper is not None and keeper.wanted and linear and tuple(partials) == (FORWARD,):
        return [keeper.find(op, at.m, at.x, make=True).value]
    if set(partials) == {Partial("x", 0), Partial("m", 1)} and linear:
        kept = keeper and keeper.find(op, at.m, at.x, make=False)
        gx, gm = (kept or _at(op, at.m).linearize(at.x)).pull(at.y.astype(op.dtype).reshape(op.dimsd))
        return [gx if p.slot == "x" else gm for p in partials]
    return [_one(op, p, at, keeper) for p in partials]


def _one(op: LinearOperator, p: Partial, at: Inputs, keeper: Keeper | None) -> NDArray:
    if p.slot == "m":
        kept = keeper and at.x is not None and keeper.find(op, at.m, at.x, make=False)
        J = kept.J if kept else _derivative(_at(op, at.m), at.x)
        if J is None:
            return np.zeros(shape_of(op, "m"), op.dtype)
        last = _derivatives(J.H, at.y, at.dm[: p.order - 1])
        return np.zeros(shape_of(op, "m"), op.dtype) if last is None else last
    x, left = (at.x, _at(op, at.m)) if p.slot == "y" else (at.y, _at(op, at.m).H)
    result = _derivatives(left, x, at.dm[: p.order])
    return np.zeros(left.dimsd, op.dtype) if result is None else result


def _derivatives(op: LinearOperator, x: NDArray, directions: Sequence[NDArray]) -> NDArray | None:
    """``D^k op [directions] x``; None where it vanishes."""
    for direction in directions:
        op = _derivative(op, x)
        if op is None:
            return None
        x = direction
    return op.matvec(np.ravel(x)) if np.iscomplexobj(x) else apply(op, np.asarray(x, op.dtype).reshape(op.dims))


def _derivative(op: LinearOperator, x: NDArray) -> LinearOperator | None:
    """Operator dm -> D op[dm] x, also of complex `x`, in which it is linear."""
    x = np.reshape(x, op.dims)
    J = derivative(op, None, x.real.astype(_real(op.dtype)))
    if J is None or not np.any(x.imag):
        return J
    return J + 1j * derivative(op, None, x.imag.astype(_real(op.dtype)))


def _at(op: LinearOperator, m: NDArray | None) -> LinearOperator:
    return op if m is None else op.at(m=m)


def _real(dtype: np.dtype) -> np.dtype:
    return np.zeros(0, dtype).real.dtype


# ---------------------------------------------------------------------- what a layer checks


def check_input(
    op: LinearOperator, name: str, shape: Sequence[int], expected: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """The batch axes in front of an input `x`, or of a model `m`; `expected` is the slot's shape where it is known.

    Raises
    ------
    ValueError
        Naming what was expected.
    """
    expected = shape_of(op, name) if expected is None else expected
    if name == "m" and not expected:
        raise ValueError(f"{op!r} does not depend on m: call the layer without it.")
    n = len(expected)
    if len(shape) < n or tuple(shape[len(shape) - n :]) != expected:
        what = "The input" if name == "x" else "The model m"
        raise ValueError(f"{what} must end with {expected}, after any batch axes, for {op!r}; got {tuple(shape)}.")
    return tuple(shape[: len(shape) - n])


def check_kind(op: LinearOperator, complex_input: bool, floating: bool) -> None:
    """Refuse integers, and complex input where that would be cut to its real part.

    Raises
    ------
    TypeError
        Naming what was expected.
    """
    if not floating:
        raise TypeError(f"{op!r} takes floating-point numbers: cast the input to float32 or float64.")
    if complex_input and not np.issubdtype(op.dtype, np.complexfloating):
        raise TypeError(f"{op!r} is real: apply it to the real and the imaginary part of a complex input.")


# ---------------------------------------------------------------------- by number

_numbered: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_next = itertools.count(1)
_lock = threading.Lock()


def register(thing: LinearOperator | Keeper) -> int:
    """A number by which a graph that holds only tensors and numbers calls `thing`, valid while it lives."""
    with _lock:
        if thing not in _numbers:
            _numbers[thing] = next(_next)
            _numbered[_numbers[thing]] = thing
        return _numbers[thing]


def registered(number: int) -> Any:
    """What a number stands for.

    Raises
    ------
    RuntimeError
        If it is gone.
    """
    thing = _numbered.get(number)
    if thing is None:
        raise RuntimeError("This graph was compiled for an operator that no longer exists; build the layer again.")
    return thing


def keeper(number: int) -> Keeper | None:
    """The keeper of a number; None for 0, and where it is gone: a graph may outlive the product it was traced in."""
    return _numbered.get(number)
