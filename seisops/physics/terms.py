"""What the stages of a time step are written with: fields, coefficients, differences, and sums of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

# The factor of a field that is made anew in every step.
ZERO = "0"


@dataclass(frozen=True)
class Times:
    """Multiplication by a coefficient, a function of space."""

    coefficient: str

    @property
    def transpose(self) -> tuple[float, Times]:
        return 1.0, self

    def __call__(self, expression: Expression) -> Expression:
        return expression.behind(self)


@dataclass(frozen=True)
class Difference:
    """A central difference of `degree` along an axis, 0 interpolating; `shift` moves the result by half a cell.

    One that is `ending`, 1, takes one side at a free surface, its transpose, -1, is adjoint to that; see
    :mod:`seisops.physics.surface`. It is of the model's order, or of a lower one where `order` says so.
    """

    axis: int
    degree: int = 1
    shift: int = 0
    ending: int = 0
    order: int | None = None

    @property
    def transpose(self) -> tuple[float, Difference]:
        return (-1.0) ** self.degree, replace(self, shift=-self.shift, ending=-self.ending)

    def __call__(self, expression: Expression) -> Expression:
        return expression.behind(self)


Operation = Times | Difference


@dataclass(frozen=True)
class Term:
    """`factor` times operations on a field, the last of which acts first."""

    field: str
    operations: tuple[Operation, ...] = ()
    factor: float = 1.0

    @property
    def coefficients(self) -> Iterator[str]:
        """The coefficients in it."""
        return (o.coefficient for o in self.operations if isinstance(o, Times))

    def transposed(self, target: str) -> Term:
        """What `target`, to which this was added, gives to the field."""
        signs, operations = zip(*(o.transpose for o in reversed(self.operations)), strict=True) if self.operations \
            else ((), ())  # fmt: skip
        factor = self.factor
        for sign in signs:
            factor *= sign
        return Term(target, tuple(operations), factor)


@dataclass(frozen=True)
class Expression:
    """A sum of terms."""

    terms: tuple[Term, ...]

    def behind(self, operation: Operation) -> Expression:
        """`operation` of it."""
        return Expression(tuple(replace(t, operations=(operation, *t.operations)) for t in self.terms))

    def __add__(self, other: Expression) -> Expression:
        return Expression(self.terms + other.terms)

    def __radd__(self, zero: int) -> Expression:
        """For Python's own sum, which begins with 0."""
        return self

    def __rmul__(self, factor: float) -> Expression:
        return Expression(tuple(replace(t, factor=factor * t.factor) for t in self.terms))

    def __neg__(self) -> Expression:
        return -1.0 * self

    def __sub__(self, other: Expression) -> Expression:
        return self + -other


@dataclass(frozen=True)
class Field:
    """A wavefield, or the memory of a layer.

    Parameters
    ----------
    name : str
    stagger : tuple of int
        Half cells by which its nodes lie off the grid's, along every axis.
    inertia : str, optional
        The coefficient M of a field of second order; without one it is 1, and the coefficients hold the squared time
        step.
    second : bool
        Whether it is marched by leapfrog; a field of first order is changed in place. One with an inertia is.
    strip : int, optional
        The axis in whose absorbing layer it lives; a wavefield is everywhere.
    parity : {-1, 0, 1}
        How it is mirrored above a free surface: with the opposite sign (it vanishes there), not at all, with its sign.
    stored : bool
        Whether it is worth its memory: that its neighbours take differences of it, and it is much to compute.
    """

    name: str
    stagger: tuple[int, ...]
    inertia: str | None = None
    second: bool = False
    strip: int | None = None
    parity: int = 0
    stored: bool = False

    def __post_init__(self) -> None:
        if self.inertia is not None:
            object.__setattr__(self, "second", True)

    @property
    def value(self) -> Expression:
        """The field, to build stages from."""
        return Expression((Term(self.name),))
