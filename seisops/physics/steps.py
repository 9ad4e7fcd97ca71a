"""The steps that a time step is made of: stages, and the ports at which it meets the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seisops.physics.terms import Operation, Term


@dataclass(frozen=True)
class Stage:
    """``target = keep * target + terms``; within the layer along `strip` alone, where that is given."""

    target: str
    terms: tuple[Term, ...]
    keep: str | None = None
    strip: int | None = None

    @property
    def reads(self) -> set[str]:
        """The fields it takes."""
        return {t.field for t in self.terms}

    @property
    def changes(self) -> str:
        """The field it is about."""
        return self.target


@dataclass(frozen=True)
class Port:
    """Where the outside meets a field: a source adds ``operations`` of what comes in, a receiver takes them of it."""

    name: str
    field: str
    operations: tuple[Operation, ...] = ()
    keep: ClassVar = None


class Source(Port):
    """What comes in is added to a field."""

    reads: ClassVar = frozenset()

    @property
    def changes(self) -> str:
        """The field it is added to."""
        return self.field

    @property
    def input(self) -> str:
        """What comes in, as a term calls it."""
        return f"source {self.name}"


class Receiver(Port):
    """What goes out is read from a field."""

    changes: ClassVar = None

    @property
    def reads(self) -> set[str]:
        """The field it is read from."""
        return {self.field}


@dataclass(frozen=True)
class Perturbation:
    r"""How a coefficient scatters: ``target += operations (δc · kept)``, just before the stage at `position`.

    `kept` are terms of the background (or of what comes in at a source), or None for the second time difference
    of the target over h², which the inertia of a field multiplies.
    """

    coefficient: str
    target: str
    operations: tuple[Operation, ...]
    kept: tuple[Term, ...] | None
    position: int
    factor: float = 1.0
