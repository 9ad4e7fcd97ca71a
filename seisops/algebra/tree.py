"""Walks through what operators are made of, each written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra.operator import SeismicOperator, ShotIndex, describe


def walk(op: LinearOperator) -> Iterator[LinearOperator]:
    """An operator and all that it is made of."""
    yield op
    for part in getattr(op, "parts", ()):
        yield from walk(part)


def leaves(op: LinearOperator) -> Iterator[LinearOperator]:
    """The operators in a composition that are made of no others."""
    return (part for part in walk(op) if not getattr(part, "parts", ()))


def at(op: LinearOperator, model) -> LinearOperator:
    """Put an operator in another model."""
    if not isinstance(op, SeismicOperator):
        check_constant(op)
        return op
    # What it is made of is put there in the same way.
    if op.model is not None and op.model.grid_key != model.grid_key:
        raise _two_grids(op, model)
    return op._at(model)


def within(op: LinearOperator, window) -> LinearOperator:
    """Put an operator on a part of its model."""
    if not isinstance(op, SeismicOperator):
        raise ValueError(f"{describe(op)} does not say what it is on a part of the model: put it outside the aperture.")
    return op.within(window)


def conj(op: LinearOperator) -> LinearOperator:
    """The operator x -> conj(op @ conj(x)), whose dependence on m is kept."""
    return op.conj() if isinstance(op, SeismicOperator) or op.dtype.kind == "c" else op


def shotwise(part: LinearOperator, whole: LinearOperator) -> SeismicOperator:
    """A part of an operator whose shots are selected."""
    if isinstance(part, SeismicOperator):
        return part
    raise TypeError(
        f"Cannot select shots of {describe(whole)}: {describe(part)} does not say what a shot is. Make it of one "
        "operator for every shot with so.preconditioners.ShotWise, or select the shots of its other factors and "
        "terms before."
    )


def common_model(parts: Sequence[LinearOperator]):
    """The model that the waves of a composition travel in; without waves, that of the first part that has one."""
    known = None
    for part in parts:
        for f in leaves(part) if getattr(part, "parts", ()) else (part,):
            if getattr(f, "propagates", False):
                return f.model
        known = known or getattr(part, "model", None)
    return known


def check_one_grid(op: LinearOperator, model) -> None:
    """Refuse operators on other grids or time steps than the `model` whose squared slowness is asked about."""
    for part in getattr(op, "parts", ()):
        if getattr(part, "model", None) is not model or part.parts:
            check_one_grid(part, model)
    if isinstance(op, SeismicOperator) and op.model is not None and op.model.grid_key != model.grid_key:
        raise _two_grids(op, model)


def _two_grids(op: SeismicOperator, model) -> ValueError:
    return ValueError(
        f"{op} is on another grid or time step than {model}, and a squared slowness is of one of them: put "
        "the parts of each grid in their model by themselves."
    )


def check_constant(op: LinearOperator) -> None:
    """Refuse an operator of PyLops that holds one that depends on m where no product or sum shows it."""
    for inner in _held(op):
        if isinstance(inner, SeismicOperator) and inner.model is not None:
            raise NotImplementedError(
                f"{type(op).__name__} holds {inner}, whose dependence on m is not read there: make products, sums, "
                "adjoints and stacks of it instead."
            )
        check_constant(inner)


def holds_seismic(op: LinearOperator) -> bool:
    """Whether an operator of this library is anywhere in one of PyLops."""
    return isinstance(op, SeismicOperator) or any(map(holds_seismic, _held(op)))


def _held(op: LinearOperator) -> list[LinearOperator]:
    """What an operator of PyLops is made of."""
    held = [v for value in vars(op).values() for v in (value if isinstance(value, (list, tuple)) else [value])]
    return [v for v in held if isinstance(v, LinearOperator)]


def placed(op: SeismicOperator, x: NDArray, window) -> tuple:
    """`op` on a part of the model and the part of `x` it takes there."""
    return op.within(window), window.crop(x) if op.takes == "grid" else x


def selected(op, x: NDArray, index: ShotIndex) -> tuple:
    """``op[index]`` and the part of `x` it takes."""
    if op is None:
        return None, x[list(index) if isinstance(index, tuple) else index]
    shotwise(op, op)
    return op[index], op.shots_in(x, index)
