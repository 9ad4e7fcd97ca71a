"""The value of every partial of an operator's form, over batch axes and on as few marches as it takes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Linearization, SeismicOperator, apply, check_finite, derivative
from seisops.arrays import real_type
from seisops.bridge.form import FORWARD, PAIR, Inputs, Partial
from seisops.bridge.parameters import at_model, model_shape, parameters_of
from seisops.execution.cores import at_once
from seisops.execution.shots import map_shots, shares_memory

# The highest derivative with respect to the model that the frameworks' fixed signatures carry.
MAX_ORDER = 3


def shape_of(op: LinearOperator, slot: str) -> tuple[int, ...]:
    """Shape of what stands in a slot, without batch axes."""
    return model_shape(op) if slot == "m" else tuple(op.dims if slot == "x" else op.dimsd)


@dataclass(eq=False)
class Keeper:
    """Linearisations that a forward product left for its backward, found again by what they were made of."""

    wanted: bool = True
    kept: dict[bytes, Linearization] = field(default_factory=dict)

    def find(self, op: SeismicOperator, m: NDArray | None, x: NDArray, *, make: bool) -> Linearization | None:
        """The linearisation of ``op.at(m)`` around `x`; made and kept where asked for."""
        key = hashlib.sha1(x.tobytes() + (b"" if m is None else m.tobytes())).digest()
        if key not in self.kept and make:
            self.kept[key] = at_model(op, m).linearize(x, parameters_of(op))
        return self.kept.get(key)


def evaluate(
    op: LinearOperator, partials: Sequence[Partial], inputs: Inputs, keeper: Keeper | None = None, *, copy: bool = True
) -> list[NDArray]:
    """The partials at `inputs`, over leading batch axes.

    Parameters
    ----------
    op : LinearOperator
        Composed, see :func:`seisops.compose`.
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
    inputs = inputs.map(np.asarray)
    # Large arrays cost what they are copied: once at most.
    make = np.array if copy else np.asarray
    if keeper is None and inputs.m is None and tuple(partials) == (FORWARD,) and inputs.x.shape == op.dims:
        # A product and nothing else, the commonest by far: what is asked below may take as long as a small one.
        check_finite(op, inputs.x)
        return [make(_derivatives(op, inputs.x, ()), op.dtype).reshape(op.dimsd)]
    leads = _leads(op, inputs)
    batch = _batch(leads)
    wanted = _outputs(op, partials, leads, batch)
    if not batch:
        values = zip(_item(op, partials, inputs, keeper), partials, wanted, strict=True)
        return [make(v.real if p.slot == "m" else v, dtype).reshape(shape) for v, p, (shape, dtype) in values]
    arrays = inputs.flat()
    results = [np.zeros(shape, dtype) for shape, dtype in wanted]
    ends = [shape_of(op, p.slot) for p in partials]
    indices = list(itertools.product(*map(range, batch)))

    def item(i: int) -> list[NDArray]:
        parts = [None if a is None else a[indices[i][: len(lead)]] for a, lead in zip(arrays, leads, strict=True)]
        return _item(op, partials, Inputs.unflat(parts), keeper)

    for index, values in zip(indices, _items(op, item, len(indices)), strict=True):
        for result, p, end, value in zip(results, partials, ends, values, strict=True):
            value = value.real if p.slot == "m" else value
            result[index[: result.ndim - len(end)]] += np.reshape(value, end)
    return results


def outputs(op: LinearOperator, partials: Sequence[Partial], inputs: Inputs) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of what :func:`evaluate` gives, from the shapes of its inputs alone."""
    leads = _leads(op, inputs)
    return _outputs(op, partials, leads, _batch(leads))


def _outputs(op: LinearOperator, partials: Sequence[Partial], leads: list, batch: tuple) -> list[tuple]:
    models = _batch([leads[0], *leads[3:]]) if batch else ()
    return [
        ((*(models if p.slot == "m" else batch), *shape_of(op, p.slot)),
         real_type(op.dtype) if p.slot == "m" else np.dtype(op.dtype))
        for p in partials
    ]  # fmt: skip


def repeats(op: LinearOperator, partials: Sequence[Partial], position: int, ndim: int) -> bool:
    """Whether a new batch axis must repeat an argument that it does not reach.

    Parameters
    ----------
    op, partials
        What is evaluated.
    position, ndim : int
        Where in ``Inputs.flat()`` the argument stands, and how many axes it has.
    """
    # Or the gradients of all samples would be summed, and models of samples of their own would go with the samples of
    # this axis.
    return any(p.slot == "m" for p in partials) or position in (1, 2) or ndim > len(shape_of(op, "m"))


def _leads(op: LinearOperator, inputs: Inputs) -> list[tuple[int, ...]]:
    """The batch axes of every argument."""
    names = ["m", "x", "y", *"m" * len(inputs.dm)]
    return [
        () if a is None else tuple(a.shape[: len(a.shape) - len(shape_of(op, name))])
        for a, name in zip(inputs.flat(), names, strict=True)
    ]


def _items(op: LinearOperator, item: Callable[[int], list[NDArray]], n: int) -> Iterator[list[NDArray]]:
    """The items of a batch in order; side by side, as shots are, where more of them fit than of an item's own shots."""
    model = getattr(op, "model", None)
    cells = 0 if model is None else prod(model.padded_shape)
    if cells and shares_memory() and at_once(n, cells) > at_once(op.nsrc, cells):
        return map_shots(item, n, cells)
    return map(item, range(n))


def _batch(leads: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return max(leads, key=len, default=())


def _item(op: LinearOperator, partials: Sequence[Partial], at: Inputs, keeper: Keeper | None) -> list[NDArray]:
    """The partials for one item of a batch."""
    values = [a for a in (at.x, at.y, *at.dm) if a is not None]
    if tuple(partials) == (FORWARD,):
        check_finite(op, values[0])
    elif not all([np.logical_and.reduce(np.isfinite(a), axis=None) for a in values]):
        # An overflow on its way back through a network is the network's business: a loss scaler looks for it.
        return [np.full(shape_of(op, p.slot), np.nan) for p in partials]
    # A linearisation marches real wavefields; what a complex operator does to them is differentiated part by part.
    linear = isinstance(op, SeismicOperator) and op.dtype.kind != "c"
    if keeper is not None and keeper.wanted and linear and tuple(partials) == (FORWARD,):
        return [keeper.find(op, at.m, at.x, make=True).value]
    if set(partials) == PAIR and linear:
        kept = keeper and keeper.find(op, at.m, at.x, make=False)
        gx, gm = (kept or at_model(op, at.m).linearize(at.x, parameters_of(op))).pull(
            at.y.astype(op.dtype).reshape(op.dimsd)
        )
        return [gx if p.slot == "x" else gm for p in partials]
    return [_one(op, p, at, keeper) for p in partials]


def _one(op: LinearOperator, p: Partial, at: Inputs, keeper: Keeper | None) -> NDArray:
    kept = keeper and at.x is not None and p.slot != "x" and keeper.find(op, at.m, at.x, make=False)
    if p.slot == "m":
        J = kept.J if kept else jacobian(at_model(op, at.m), at.x)
        if J is None:
            return np.zeros(shape_of(op, "m"), op.dtype)
        last = _derivatives(J.H, at.y, at.dm[: p.order - 1])
        return np.zeros(shape_of(op, "m"), op.dtype) if last is None else last
    if p.slot == "y":
        left, x, directions = at_model(op, at.m), at.x, at.dm[: p.order]
        if kept and directions:
            left, x, *directions = kept.J, *directions
    else:
        left, x, directions = at_model(op, at.m).H, at.y, at.dm[: p.order]
    result = _derivatives(left, x, directions)
    return np.zeros(shape_of(op, p.slot), op.dtype) if result is None else result


def _derivatives(op: LinearOperator, x: NDArray, directions: Sequence[NDArray]) -> NDArray | None:
    """``D^k op [directions] x``; None where it vanishes."""
    for direction in directions:
        op = jacobian(op, x)
        if op is None:
            return None
        x = direction
    return op.matvec(np.ravel(x)) if np.iscomplexobj(x) else apply(op, np.asarray(x, op.dtype).reshape(op.dims))


def jacobian(op: LinearOperator, x: NDArray) -> LinearOperator | None:
    """Make the operator dm -> D op[dm] x in all parameters, None where it vanishes, at complex `x` too."""
    x = np.reshape(x, op.dims)
    wrt = parameters_of(op)
    J = derivative(op, None, x.real.astype(real_type(op.dtype)), wrt)
    if J is None or not np.any(x.imag):
        return J
    return J + 1j * derivative(op, None, x.imag.astype(real_type(op.dtype)), wrt)
