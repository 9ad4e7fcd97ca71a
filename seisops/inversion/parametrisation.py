r"""Changes of variables between the unknowns of an inversion and the parameters of a medium.

At every node the parameters p are functions of the unknowns x, in two steps: quantities a, kept between bounds where
there are any, and formulas of these,

.. math:: p = f(a), \qquad a = a_{low} + \frac{a_{high} - a_{low}}{2} \Big(1 + \frac{x}{\sqrt{1 + x^2}}\Big)

or a = x without bounds. Fixed nodes keep the model's parameters, whatever x is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from itertools import product as corners
from types import ModuleType
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from seisops.arrays import real
from seisops.inversion.bounds import Bounds, check_speed, words_of
from seisops.inversion.formulas import function_of, parsed, unknowns_of
from seisops.inversion.point import Point
from seisops.model import Model


def parametrisation(
    model: Model,
    *names: str,
    bounds: Bounds | Mapping[str, Bounds] | None = None,
    fixed: ArrayLike | None = None,
    **formulas: str,
) -> Parametrisation:
    """Say what the unknowns of an inversion are: any smooth change of variables, the same at every node.

    Parameters
    ----------
    model : Model
        Where an inversion starts, and what stays where `fixed` says so.
    *names : str
        Parameters that are unknowns themselves, by any name that ``model.at`` takes: "v", or "vp", "vs".
    bounds : (low, high), or dict of str to (low, high), optional
        Of every unknown, numbers or arrays of ``model.shape``; a smooth map keeps it between them.
    fixed : array of bool of ``model.shape``, optional
        Where the model stays as it is, such as in water.
    **formulas : str
        Parameters as formulas of unknowns with names of your own, with exp, log, sqrt, tanh, sinh and cosh:
        ``v="1 / s"`` for the slowness, ``v="exp(a)"`` for the logarithm, ``v="v", rho="Z / v"`` for the impedance.

    Returns
    -------
    Parametrisation
        ``P(x)`` is the medium at the unknowns x, for ``wrt=`` of :func:`seisops.fwi` and :func:`seisops.hessian`.

    Raises
    ------
    ValueError
        For bounds that exclude where to start, or let the fastest velocity exceed what the model's time step carries;
        for formulas that say nothing of the start.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10, vmax=4)
    >>> water = np.zeros(model.shape, bool)
    >>> water[:, :5] = True
    >>> P = so.parametrisation(model, "v", bounds=(1.5, 3.8), fixed=water)
    >>> P
    Parametrisation(v (km/s) of 1 unknown: v from 1.5 to 3.8, (51, 41), 255 of 2091 nodes fixed)
    >>> x = P.start + 1
    >>> v = P(x)["v"]
    >>> v[0, [0, 4, 5]].round(3).tolist()
    [2.0, 2.0, 2.995]
    """
    return Parametrisation(model, {name: name for name in names} | formulas, bounds, fixed)


class Parametrisation:
    """The medium as a function of unknowns; see :func:`seisops.parametrisation`, which makes it.

    Parameters
    ----------
    model : Model
    formulas : dict of str to str
        Every parameter as a formula of unknowns.
    bounds, fixed
        As of :func:`seisops.parametrisation`.

    Attributes
    ----------
    names : tuple of str
        The parameters it gives.
    unknowns : tuple of str
    shape : tuple of int
        That of the unknowns: ``model.shape``, after an axis of them for several.
    start : array of `shape`
        The unknowns of `model`.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), rho=np.full((51, 41), 1.5), spacing=10)
    >>> P = so.parametrisation(model, v="v", rho="Z / v")
    >>> P.unknowns, P.shape, P.start[:, 0, 0].tolist()
    (('v', 'Z'), (2, 51, 41), [2.0, 3.0])
    >>> P(P.start)
    Point(v 2-2, rho 1.5-1.5)
    """

    def __init__(
        self,
        model: Model,
        formulas: Mapping[str, str],
        bounds: Bounds | Mapping[str, Bounds] | None = None,
        fixed: ArrayLike | None = None,
    ) -> None:
        self.model, self.names, self.formulas = model, tuple(formulas), dict(formulas)
        model.medium.meanings(self.names)
        self.unknowns = tuple(dict.fromkeys(name for text in formulas.values() for name in unknowns_of(text)))
        for name, text in formulas.items():
            if not unknowns_of(text):
                raise ValueError(f"{name} = {text} has no unknown in it: put it into the model with model.at({name}=).")
        if bounds is not None and not isinstance(bounds, Mapping):
            if len(self.unknowns) > 1:
                raise ValueError(f"Bounds are by name of several unknowns: bounds={{{self.unknowns[0]!r}: {bounds}}}.")
            bounds = {self.unknowns[0]: bounds}
        self.bounds = {name: self._pair(name, *pair) for name, pair in (bounds or {}).items()}
        self.fixed = None if fixed is None else np.asarray(fixed)
        if self.fixed is not None and (self.fixed.dtype != bool or self.fixed.shape != model.shape):
            raise ValueError(
                f"fixed is an array of bool of the model's shape {model.shape}, True where it stays, got "
                f"{self.fixed.dtype} of {self.fixed.shape}."
            )
        if self.fixed is not None and self.fixed.all():
            raise ValueError("All nodes are fixed: nothing is left to invert for.")
        self.shape = model.shape if len(self.unknowns) == 1 else (len(self.unknowns), *model.shape)
        self._check_speed()
        self.start = self.inverse(model)

    # ------------------------------------------------------------------ there and back

    def __call__(self, x: ArrayLike) -> Point:
        """The medium at the unknowns `x`, shaped or flat."""
        return Point(self, x)

    def inverse(self, model: Model) -> NDArray:
        """The unknowns of another model of the same shape; where nodes are fixed they say nothing, and are the mean.

        Raises
        ------
        ValueError
            Where the model is not between the bounds.
        """
        values = {name: model.quantity(name) for name in self.names}
        free = slice(None) if self.fixed is None else ~self.fixed
        result = np.empty((len(self.unknowns), *model.shape))
        for i, (name, a) in enumerate(self._quantities(values).items()):
            if name in self.bounds:
                low, high = (np.broadcast_to(b, model.shape) for b in self.bounds[name])
                inside = (low < a) & (a < high)
                if not inside[free].all():
                    raise ValueError(
                        f"The model starts with {name} from {a[free].min():.5g} to {a[free].max():.5g}, and its bounds "
                        f"are {words_of(self.bounds[name])}: {int((~inside[free]).sum())} nodes are not strictly "
                        "between them. Widen the bounds, or fix those nodes with fixed=."
                    )
                y = np.where(inside, 2 * (a - low) / (high - low) - 1, 0.0)
                a = y / np.sqrt(1 - y**2)
            result[i] = a if self.fixed is None else np.where(self.fixed, a[free].mean(), a)
        return result.reshape(self.shape)

    def forward(self, x: Sequence[Any], constants: Mapping[str, Any] | None = None, library: ModuleType = np) -> dict:
        """The parameters by name, in arrays of any library with NumPy's `where` and functions.

        Parameters
        ----------
        x : one array for every unknown
        constants : dict of str to array, optional
            :attr:`constants` as arrays of that library.
        library : module
            `numpy`, `torch`, `jax.numpy`, `keras.ops`.
        """
        known = self.constants if constants is None else constants
        x = list(x)
        if self.fixed is not None:
            # Where they say nothing, unknowns without a meaning must not get into a derivative.
            x = [library.where(known["fixed"], known[f"rest_{n}"], a) for n, a in zip(self.unknowns, x, strict=True)]
        values = {
            name: function_of(f, self._symbols, library)(*x, *self._bounds(known)) for name, f in self._map.items()
        }
        if self.fixed is not None:
            values = {name: library.where(known["fixed"], known[f"own_{name}"], p) for name, p in values.items()}
        return values

    @cached_property
    def constants(self) -> dict[str, NDArray]:
        """What the map is made of beside the unknowns: bounds, and where nodes are fixed what stays there."""
        found = {
            f"{side}_{n}": b for n, pair in self.bounds.items() for side, b in zip(("low", "high"), pair, strict=True)
        }
        if self.fixed is not None:
            found |= {"fixed": self.fixed} | {f"own_{name}": self.model.quantity(name) for name in self.names}
            found |= {f"rest_{n}": a for n, a in zip(self.unknowns, self.parts(self.start), strict=True)}
        return found

    def derivatives(self, x: Sequence[NDArray], *order: int) -> NDArray:
        """A derivative of every parameter at every node, in unknowns by their number: (parameter, \\*shape)."""
        arguments = (*x, *self._bounds(self.constants))
        found = np.zeros((len(self.names), *self.model.shape))
        for k, expression in enumerate(self._map.values()):
            derivative = sympy.diff(expression, *(self._symbols[i] for i in order))
            found[k] = function_of(derivative, self._symbols)(*arguments)
        return found if self.fixed is None else np.where(self.fixed, 0.0, found)

    # ------------------------------------------------------------------ how

    @cached_property
    def _symbols(self) -> list[sympy.Symbol]:
        bounded = [f"{side}_{name}" for name in self.bounds for side in ("low", "high")]
        return [sympy.Symbol(name) for name in (*self.unknowns, *bounded)]

    @cached_property
    def _map(self) -> dict[str, sympy.Expr]:
        """Every parameter as a formula of the unknowns and their bounds."""
        within = {}
        for name in self.bounds:
            x, low, high = (sympy.Symbol(n) for n in (name, f"low_{name}", f"high_{name}"))
            within[x] = low + (high - low) * (1 + x / sympy.sqrt(1 + x**2)) / 2
        return {name: parsed(text).subs(within, simultaneous=True) for name, text in self.formulas.items()}

    def _bounds(self, known: Mapping[str, Any]) -> list:
        return [known[f"{side}_{name}"] for name in self.bounds for side in ("low", "high")]

    def parts(self, x: ArrayLike) -> NDArray:
        """The unknowns one by one, along the first axis."""
        x = real(x, "Unknowns")
        if x.shape not in (self.shape, (x.size,)) or x.size != np.prod(self.shape):
            raise ValueError(f"The unknowns have shape {self.shape}, or are flat; got {x.shape}.")
        return x.reshape(len(self.unknowns), *self.model.shape)

    def _pair(self, name: str, low: ArrayLike, high: ArrayLike) -> tuple[NDArray, NDArray]:
        if name not in self.unknowns:
            raise ValueError(f"Bounds of {name}, which is no unknown: {', '.join(self.unknowns)}.")
        low, high = (real(b, f"A bound of {name}") for b in (low, high))
        if any(b.shape not in ((), self.model.shape) or not np.isfinite(b).all() for b in (low, high)):
            raise ValueError(f"Bounds of {name} are finite numbers, or arrays of the model's shape {self.model.shape}.")
        if not np.all(low < high):
            raise ValueError(f"The lower bound of {name} must be below the upper one, got {words_of((low, high))}.")
        return low, high

    def _quantities(self, values: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """What the formulas are of, from the parameters: their inverse."""
        names, wanted = list(values), [sympy.Symbol(n) for n in self.unknowns]
        given = {name: sympy.Symbol(f"given_{name}") for name in names}
        with np.errstate(all="ignore"):
            for some in combinations(names, len(wanted)):
                equations = [parsed(self.formulas[name]) - given[name] for name in some]
                for found in sympy.solve(equations, wanted, dict=True):
                    if set(found) != set(wanted):
                        continue
                    f = [function_of(found[a], [given[n] for n in names]) for a in wanted]
                    a = [np.broadcast_to(g(*values.values()), self.model.shape) for g in f]
                    free = slice(None) if self.fixed is None else ~self.fixed
                    if all(np.isrealobj(x) and np.isfinite(x[free]).all() for x in a):
                        return dict(zip(self.unknowns, a, strict=True))
        raise ValueError(
            f"{', '.join(f'{n} = {text}' for n, text in self.formulas.items())} cannot be solved for "
            f"{', '.join(self.unknowns)} in this model: write formulas that say what they are there."
        )

    def _check_speed(self) -> None:
        """Refuse bounds between which waves may be too fast for the model's time step."""
        if not self.bounds:
            return
        model, own = self.model, {name: self.model.quantity(name) for name in self.names}
        here = self._quantities(own)
        formulas = {
            name: function_of(parsed(text), self._symbols[: len(self.unknowns)]) for name, text in self.formulas.items()
        }
        fastest = 0.0
        for corner in corners(*(self.bounds.get(name, (here[name],)) for name in self.unknowns)):
            stays = False if self.fixed is None else self.fixed
            values = {name: np.where(stays, own[name], f(*corner)) for name, f in formulas.items()}
            there = dict(model.parameters) | model.medium.canonical(values, model.parameters)
            fastest = max(fastest, model.medium.grid_speed(there))
        check_speed(model, fastest, "; ".join(f"{name} from {words_of(pair)}" for name, pair in self.bounds.items()))

    def __repr__(self) -> str:
        known = self.model.medium.parameters | self.model.medium.spellings
        given = ", ".join(f"{name} ({known[name].unit})" for name in self.names)
        n = len(self.unknowns)
        each = ", ".join(
            f"{name} from {words_of(self.bounds[name])}" if name in self.bounds else name for name in self.unknowns
        )
        stays = "" if self.fixed is None else f", {int(self.fixed.sum())} of {self.fixed.size} nodes fixed"
        return f"Parametrisation({given} of {n} unknown{'s' * (n > 1)}: {each}, {self.shape}{stays})"
