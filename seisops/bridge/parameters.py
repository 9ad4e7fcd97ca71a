"""The parameters of an operator's medium by name, as one array: what stands in the slot "m" of the form.

A medium of one parameter has the shape of its grid there; one of several has an axis of parameters before it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sympy
from numpy.typing import NDArray
from pylops import LinearOperator


def parameters_of(op: LinearOperator) -> tuple[str, ...]:
    """The parameters of an operator's medium, in the order of the slot."""
    model = getattr(op, "model", None)
    return () if model is None else tuple(model.parameters)


def model_shape(op: LinearOperator) -> tuple[int, ...]:
    """Shape of the parameters of an operator's medium, () where it has none."""
    n = len(parameters_of(op))
    if not n:
        return ()
    model = op.model
    return tuple(model.shape) if n == 1 else (n, *model.shape)


def at_model(op: LinearOperator, m: NDArray | None) -> LinearOperator:
    """The operator at the parameters that are stacked in `m`; itself without."""
    if m is None:
        return op
    names = parameters_of(op)
    return op.at(**dict(zip(names, [m] if len(names) == 1 else m, strict=True)))


@dataclass(frozen=True)
class Names:
    """What a layer's keywords mean to its medium, held so that a framework's compiler can read it.

    Attributes
    ----------
    of : str
        The operator, for messages.
    words : str
        What may be given, for messages.
    grid : tuple of int
    spelled : dict of str to (str, tuple of str, function)
        For every keyword the parameter that is meant, the keywords that say what it is, and the way there: only powers,
        so that any tensor can take it.
    values : dict of str to array
        The medium's own, which stand in for those that are not given.
    """

    of: str
    words: str
    grid: tuple[int, ...]
    spelled: Mapping[str, tuple[str, tuple[str, ...], Callable]] = field(repr=False)
    values: Mapping[str, NDArray] = field(repr=False)

    def check(self, name: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The batch axes of what was given for a parameter.

        Raises
        ------
        ValueError, TypeError
            Naming what was expected.
        """
        if not self.grid:
            raise ValueError(f"{self.of} does not depend on {name}: call the layer without it.")
        if name not in self.spelled:
            raise TypeError(f"{self.of} has no parameter {name!r}; its medium has {self.words}.")
        return leading(self.of, f"The model {name}", shape, self.grid)

    def stack(self, given: Mapping[str, Any], ready: Callable, join: Callable) -> Any:
        """The parameters as one tensor, None where none is given.

        Parameters
        ----------
        given : dict of str to tensor or None
        ready : callable
            ``ready(name, value)``: a tensor, or an array of the medium's, in the operator's precision.
        join : callable
            ``join(parts)``: tensors side by side on an axis before the grid.

        Raises
        ------
        ValueError, TypeError
            For what does not fit, naming what was expected.
        """
        given = {name: value for name, value in given.items() if value is not None}
        tensors = {name: ready(name, value) for name, value in given.items()}
        found: dict[str, Any] = {}
        for name, tensor in tensors.items():
            self.check(name, tensor.shape)
            target, needed, formula = self.spelled[name]
            if target in found:
                raise TypeError(f"{name} says once more what was given: give one of {self.words}.")
            missing = [n for n in needed if n not in given]
            if missing:
                raise TypeError(f"{name} says what {target} is together with {', '.join(missing)}: give it too.")
            found[target] = formula(*[tensors[n] for n in needed])
        if not found or len(self.values) == 1:
            return next(iter(found.values()), None)
        return join([found[name] if name in found else ready(name, own) for name, own in self.values.items()])


_found: weakref.WeakKeyDictionary[LinearOperator, Names] = weakref.WeakKeyDictionary()


def names_of(op: LinearOperator) -> Names:
    """What the keywords of a layer of `op` mean."""
    if op not in _found:
        _found[op] = _names(op)
    return _found[op]


def _names(op: LinearOperator) -> Names:
    model = getattr(op, "model", None)
    if model is None:
        return Names(repr(op), "", (), {}, {})
    spelled = {name: (name, (name,), _same) for name in model.parameters}
    for name, s in model.medium.spellings.items():
        needed = model.medium.names_in(s.to_parameter)
        spelled[name] = (s.of, needed, _formula(s.to_parameter, needed))
    grid = tuple(int(n) for n in model.shape)
    return Names(repr(op), model.medium.words, grid, spelled, dict(model.parameters))


def leading(of: object, what: str, shape: Sequence[int], expected: tuple[int, ...]) -> tuple[int, ...]:
    """The batch axes in front of the `expected` ones.

    Raises
    ------
    ValueError
        If others are there.
    """
    # `of` is written out where it is refused only: a compiler cannot read how an operator describes itself.
    n = len(expected)
    if len(shape) < n or tuple(shape[len(shape) - n :]) != expected:
        raise ValueError(f"{what} must end with {expected}, after any batch axes, for {of}; got {tuple(shape)}.")
    return tuple(shape[: len(shape) - n])


def broadcast(batch: Sequence[int | None], models: Sequence[int | None]) -> tuple[int | None, ...]:
    """The common batch axes of an input and a model, None where unknown.

    Raises
    ------
    ValueError
        If they do not go together.
    """
    n = max(len(batch), len(models))
    axes = []
    for a, b in zip((1,) * (n - len(batch)) + tuple(batch), (1,) * (n - len(models)) + tuple(models), strict=True):
        if a != b and 1 not in (a, b) and a is not None and b is not None:
            raise ValueError(
                f"The batch axes of m, {tuple(models)}, do not go with those of the input, {tuple(batch)}."
            )
        axes.append(b if a == 1 or (a is None and b != 1) else a)
    return tuple(axes)


def _same(value):
    return value


@cache
def _formula(text: str, names: tuple[str, ...]) -> Callable:
    symbols = {name: sympy.Symbol(name) for name in names}
    return sympy.lambdify(list(symbols.values()), sympy.sympify(text, locals=symbols), [{"sqrt": _root}])


def _root(value):
    return value**0.5
