r"""From perturbations of parameters to those of what a scheme is made of.

A coefficient is a function of the parameters at the nodes around it, so its derivatives of every order are forms that
are linear in each of their slots, the perturbations and the weights y of the coefficients:

.. math:: \Phi = \sum_c y_c\; D^n c(p)\,[\delta_1 \ldots \delta_n]

An operator leaves two slots open and fills the others. It is transposed by their exchange; its derivative opens one
more perturbation and fills that which was its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import SeismicOperator, apply, derivative, placed, product, selected, tree
from seisops.algebra.rules import total
from seisops.arrays import own
from seisops.model import Model, formulas
from seisops.operators.conditions import ADJOINT_STATE, Condition, Perturbations
from seisops.physics import Medium
from seisops.physics.coefficients import Coefficient, function, moved, moved_back
from seisops.physics.ports import scatterers
from seisops.physics.surface import applied

Names = tuple[str, ...]
# The slot of the weights.
OUT: Names = ()


@dataclass(frozen=True, eq=False)
class Filled:
    """What fills a slot: ``op @ x``, or `x` itself."""

    slot: Names
    op: LinearOperator | None
    x: NDArray

    @cached_property
    def value(self) -> NDArray:
        """The array."""
        return self.x if self.op is None else apply(self.op, self.x).real

    def at(self, model: Model) -> Filled:
        """The same in another model."""
        return Filled(self.slot, self.op and tree.at(self.op, model), self.x)

    def within(self, window) -> Filled:
        """The same on a part of the model."""
        if self.op is None:
            if self.slot == OUT:
                raise NotImplementedError("Weights of coefficients are of a whole model: leave the aperture out.")
            return Filled(self.slot, None, window.crop(self.x))
        return Filled(self.slot, *placed(self.op, self.x, window))

    def shots(self, index) -> Filled:
        """The same of some shots."""
        return Filled(self.slot, *selected(self.op, self.x, index)) if getattr(self.op, "sums_shots", False) else self


class Change(SeismicOperator):
    r"""The derivative of coefficients in parameters of the model.

    .. math:: \delta c = \frac{\partial c(p)}{\partial p}\,\delta p

    Parameters
    ----------
    model : Model
    outputs : tuple of (str, str or Mean)
        Names and formulas of the coefficients.
    inputs : tuple of str
        The parameters that are perturbed, by any name they have.
    padded : bool
        Whether the coefficients are on the padded grid, parameters extended into the layer by their edge values.
    gives : tuple of str
        The slot that is open for the result; that of the coefficients without.
    filled : tuple of Filled
        What is in the other slots.

    Notes
    -----
    From perturbations (n, \*model.shape), without an axis of one, to those of coefficients.
    """

    takes = gives = "grid"

    def __init__(
        self, model: Model, outputs: Sequence[tuple[str, Coefficient]], inputs: Names, *, padded: bool,
        result: Names = OUT, filled: Sequence[Filled] = (),
    ) -> None:  # fmt: skip
        self.outputs, self.inputs, self.padded = tuple(outputs), inputs, padded
        self.result, self.filled = result, tuple(filled)
        super().__init__(self._slot_shape(model, inputs), self._slot_shape(model, result), model.dtype, model)
        self.parts = tuple(f.op for f in self.filled if f.op is not None)
        self.name = "C"

    def _slot_shape(self, model: Model, slot: Names) -> tuple[int, ...]:
        n, grid = (len(self.outputs), model.padded_shape) if slot == OUT and self.padded else (
            len(slot) or len(self.outputs), model.shape)  # fmt: skip
        return grid if n == 1 else (n, *grid)

    def _like(self, model: Model | None = None, inputs: Names | None = None, result: Names | None = None,
              filled: Sequence[Filled] | None = None) -> Change:  # fmt: skip
        return Change(
            model or self.model, self.outputs, self.inputs if inputs is None else inputs, padded=self.padded,
            result=self.result if result is None else result, filled=self.filled if filled is None else filled,
        )  # fmt: skip

    @property
    def sums_shots(self) -> bool:
        """Whether what fills a slot does."""
        return any(getattr(part, "sums_shots", False) for part in self.parts)

    @property
    def knows_shots(self) -> bool:
        """Whether it is another for other shots."""
        return self.sums_shots

    def _at(self, model):
        return self._like(model, filled=[f.at(model) for f in self.filled])

    def within(self, window):
        return self._like(window.of(self.model), filled=[f.within(window) for f in self.filled])

    def __getitem__(self, index):
        return self._like(filled=[f.shots(index) for f in self.filled])

    def shots_in(self, x, index):
        return x

    def shots_out(self, y, index):
        return y

    # --- the form

    def _forward(self, x):
        return self._contracted(self.inputs, x, self.result)

    def _transposed(self, y):
        return self._contracted(self.result, y, self.inputs)

    def _contracted(self, slot: Names, x: NDArray, result: Names) -> NDArray:
        """The form with `x` in a slot as well, as a function of what is in that of the result."""
        filled = [(f.slot, f.value) for f in self.filled] + [(slot, x)]
        directions = [self._by_name(names, a) for names, a in filled if names != OUT]
        weights = next((self._by_output(a) for names, a in filled if names == OUT), None)
        grid = self.model.padded_shape if self.padded else self.model.shape
        found = np.zeros((len(result) or len(self.outputs), *grid))
        for o, f in enumerate(self._functions):
            at = [moved(self._values[q], node) for q, node in f.variables]
            changes = [
                {i: moved(values[q], node) for i, (q, node) in enumerate(f.variables) if q in values}
                for values in directions
            ]
            wrt = None if result == OUT else [i for i, (q, _) in enumerate(f.variables) if q in result]
            for i, y in f.at(self.model.dt, at, changes, wrt).items():
                if i is None:
                    found[o] += y
                else:
                    quantity, node = f.variables[i]
                    found[result.index(quantity)] += moved_back(np.broadcast_to(weights[o] * y, grid), node)
        if result != OUT and self.padded:
            found = np.stack([self.model.pad_adjoint(x) for x in found])
        return found.reshape(self._slot_shape(self.model, result)).astype(self.dtype)

    @cached_property
    def _functions(self) -> list:
        asked = dict.fromkeys(n for names in (self.inputs, self.result, *(f.slot for f in self.filled)) for n in names)
        return list(formulas.functions(self.model, asked, dict(self.outputs)).values())

    @cached_property
    def _values(self) -> dict[str, NDArray]:
        quantities = {q for f in self._functions for q, _ in f.variables}
        return {q: self.model.padded(q) if self.padded else self.model.quantity(q) for q in quantities}

    def _padded(self, x: NDArray) -> NDArray:
        return self.model.pad(x) if self.padded else x

    def _by_name(self, names: Names, x: NDArray) -> dict[str, NDArray]:
        parts = np.reshape(x, (len(names), *self.model.shape)).astype(np.float64)
        return {name: self._padded(part) for name, part in zip(names, parts, strict=True)}

    def _by_output(self, y: NDArray) -> NDArray:
        return np.reshape(y, (len(self.outputs), *y.shape[y.ndim - self.model.ndim :])).astype(np.float64)

    # --- its derivative

    def derivative(self, this, tail, x, wrt):
        here, there = (self.inputs, self.result) if this is self else (self.result, self.inputs)
        mine = Filled(here, tail, own(x, self.model.dtype))
        terms = [self._like(inputs=wrt, result=there, filled=(*self.filled, mine))]
        for f in self.filled:
            d = None if f.op is None else derivative(f.op, None, f.x, wrt)
            if d is not None:
                others = (*(g for g in self.filled if g is not f), mine)
                if f.slot == OUT:
                    opened = self._like(inputs=there, result=OUT, filled=others).H
                else:
                    opened = self._like(inputs=f.slot, result=there, filled=others)
                terms.append(product(opened, d))
        return total(terms)


def perturbation(model: Model, wrt: Names) -> tuple[Condition, tuple[Change, ...]] | None:
    """What perturbations of parameters scatter by, and the way to what scatters; None where nothing depends on them."""
    condition, outputs = _scattering(model.medium, model.ndim, model.ends, wrt)
    if condition is None:
        return None
    change = (Change(model, outputs, wrt, padded=condition is not ADJOINT_STATE),) if outputs else ()
    return condition, change


@cache
def _scattering(medium: Medium, ndim: int, ends: bool, wrt: Names) -> tuple[Condition | None, tuple]:
    """What perturbations of parameters scatter by, and what of a medium they change first."""
    words = medium.meanings(wrt)
    scheme = applied(medium.scheme(ndim), ends)
    depends = {
        name: formula
        for name, formula in formulas.named(scheme, medium).items()
        if any(q in wrt for q, _ in function(formula, words, medium.names, ndim).variables)
    }
    if not depends:
        return None, ()
    found = scatterers(scheme, depends)
    channels = medium.channels(ndim)
    (first, *others) = found
    plain = not others and len(channels) == 1 and first.second and depends[first.coefficient] in medium.parameters
    if plain:
        parameter = depends[first.coefficient]
        return ADJOINT_STATE, () if wrt == (parameter,) else ((parameter, parameter),)
    condition = Perturbations(found, channels)
    return condition, tuple((name, depends[name]) for name in condition.coefficients)
