"""What every coupling says of itself, and the Devito functions they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from devito import DefaultDimension, Eq, Function, Grid, TimeFunction

from seisops.propagators.equations import Levels

# What a name of a port stands for in a kernel, and the equations that stand at every port.
Port = Callable[[str], Levels]
Equations = dict[str, list[Eq]]


def series(name: str, grid: Grid, nt: int) -> TimeFunction:
    """A value for every time step."""
    time = grid.time_dim
    return TimeFunction(name=name, grid=grid, dimensions=(time,), shape=(nt,), save=nt, time_order=0)


def history(name: str, grid: Grid, nt: int, count: int = 1) -> TimeFunction:
    """A grid for every time step; of several wavefields one for each."""
    if count == 1:
        return TimeFunction(name=name, grid=grid, save=nt, time_order=0, space_order=0)
    which = DefaultDimension(name=f"{name}_c", default_value=count)
    return TimeFunction(
        name=name, grid=grid, dimensions=(grid.time_dim, which, *grid.dimensions), shape=(nt, count, *grid.shape),
        save=nt, time_order=0, space_order=0,
    )  # fmt: skip


def nodal(name: str, grid: Grid, count: int = 1) -> Function:
    """A value for every node; of several quantities one for each."""
    if count == 1:
        return Function(name=name, grid=grid, space_order=0)
    which = DefaultDimension(name=f"{name}_c", default_value=count)
    return Function(
        name=name, grid=grid, dimensions=(which, *grid.dimensions), shape=(count, *grid.shape), space_order=0
    )


def part(f: Function, i: int, first: int = 0):
    """The `i`th of the quantities in a function, whose axis comes `first`; the function itself of one."""
    d = f.dimensions[first]
    return f._subs(d, i) if isinstance(d, DefaultDimension) else f


@dataclass(frozen=True)
class Coupling(ABC):
    """What every coupling says of itself.

    Attributes
    ----------
    port : str
        The source or receiver of the scheme that it stands at.
    payload : str
        Which of its fields carries the values in or out.
    additive : bool
        Whether steps add to the payload.
    behind : bool
        Whether it reads the step behind of a field of second order, which a kernel then keeps beside the step ahead.
    reach : int
        Nodes that it reads beyond the one it stands at.
    """

    port: str = field(default="p", kw_only=True)
    payload: ClassVar[str]
    additive: ClassVar[bool] = False

    @property
    def behind(self) -> bool:
        return False

    @property
    def reach(self) -> int:
        return 0

    @property
    def ports(self) -> tuple[str, ...]:
        """All ports that it stands at."""
        return (self.port,)

    @abstractmethod
    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        """The Devito functions it needs, named after `tag`, for so many time steps."""

    def source(self, f: dict, port: Port) -> Equations:
        """The equations at every port that add its values to the step ahead."""
        raise TypeError(f"{type(self).__name__} measures, it is no source.")

    @abstractmethod
    def measure(self, f: dict, port: Port, h) -> Equations:
        """The equations at every port that take its values of a step of length `h`."""
