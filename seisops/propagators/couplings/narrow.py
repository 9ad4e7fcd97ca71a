"""Backgrounds in 16 bits: rounded where a kernel writes them, widened where it reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from devito import Eq, Grid, TimeFunction
from devito.symbolics import DefFunction, retrieve_functions, uxreplace
from devito.types import Symbol
from numpy.typing import NDArray

from seisops.propagators.couplings.base import Coupling, Equations, Port
from seisops.storage import bfloat16

# What `seisops.storage.bfloat16` does to arrays. Compilers make two shifts of it, of many numbers at once.
MACROS = (
    ("bfloat16_of(x)", "((((union { float f; unsigned int bits; }) { .f = (float) (x) }).bits + 0x8000u) >> 16)"),
    ("float_of(x)", "(((union { unsigned int bits; float f; }) { .bits = (unsigned int) (x) << 16 }).f)"),
)


@dataclass(frozen=True)
class Narrow(Coupling):
    """Another coupling whose background has 16 bits a number, see :mod:`seisops.storage.bfloat16`.

    Parameters
    ----------
    of : Coupling
        It writes its payload, or reads a background.
    """

    of: Coupling

    @property
    def payload(self):
        return self.of.payload

    @property
    def additive(self):
        return self.of.additive

    @property
    def behind(self):
        return self.of.behind

    @property
    def reach(self):
        return self.of.reach

    @property
    def ports(self):
        return self.of.ports

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        fields = self.of.fields(tag, grid, nt)
        wide = self._kept(fields)
        narrow = TimeFunction(
            name=wide.name,
            grid=grid,
            dimensions=wide.dimensions,
            shape=wide.shape_global,
            save=wide.save,
            time_order=0,
            space_order=0,
            dtype=np.uint16,
        )
        return {k: narrow if f is wide else f for k, f in fields.items()}

    def _kept(self, fields: dict) -> TimeFunction:
        """Which of the fields is the background, written or read."""
        payload = fields[self.payload]
        return payload if payload.is_TimeFunction else fields["background"]

    def source(self, f: dict, port: Port) -> Equations:
        return self._narrowed(self.of.source(f, port), self._kept(f))

    def measure(self, f: dict, port: Port, h) -> Equations:
        return self._narrowed(self.of.measure(f, port, h), self._kept(f))

    def _narrowed(self, equations: Equations, g: TimeFunction) -> Equations:
        wide = (Symbol(name=f"{g.name}_wide{i}", dtype=g.grid.dtype) for i in count())
        narrowed = {}
        for port, found in equations.items():
            narrowed[port] = [one for eq in found for one in _rounded(_widened(eq, g), g, wide)]
        return narrowed

    def at_the_end(self, seen: NDArray, levels: Callable, h: float) -> None:
        """Mend what was measured in the last step, where that has to be."""
        if hasattr(self.of, "at_the_end"):
            wide = bfloat16.widened(seen)
            self.of.at_the_end(wide, levels, h)
            seen[...] = bfloat16.narrowed(wide)


def _widened(eq: Eq, g: TimeFunction) -> Eq:
    """The equation with floats of what it reads of `g`."""
    read = {x: DefFunction("float_of", [x]) for x in retrieve_functions(eq.rhs) if x.function is g}
    return type(eq)(eq.lhs, uxreplace(eq.rhs, read), implicit_dims=eq.implicit_dims)


def _rounded(eq: Eq, g: TimeFunction, wide: Iterator[Symbol]) -> list[Eq]:
    """The equation, in two where it writes to `g`: all is computed in the precision of the march."""
    if eq.lhs.function is not g:
        return [eq]
    x = next(wide)
    everywhere = (g.grid.time_dim, *g.grid.dimensions)
    return [Eq(x, eq.rhs, implicit_dims=everywhere), Eq(eq.lhs, DefFunction("bfloat16_of", [x]))]
