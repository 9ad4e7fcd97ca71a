r"""Each shot on the part of the model around its sources and receivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Adjoint, Chain, SeismicOperator, ShotIndex, Sum, apply, compose, derivative, describe
from seisops.algebra.configured import Configured
from seisops.algebra.linearization import Linearization
from seisops.execution.shots import map_shots
from seisops.geometry import shot_indices
from seisops.model import Model
from seisops.operators.samplers import Projection
from seisops.operators.scattering import Scattering
from seisops.operators.survey_operator import Collected, Summed

# Sizes of windows are rounded up to multiples of this many cells, so that shots share fields and buffers.
ROUNDING = 16


@dataclass(frozen=True)
class Window:
    """A part of a model, and the way there and back for arrays whose last axes are the model's."""

    full: Model
    slices: tuple[slice, ...]

    @cached_property
    def model(self) -> Model:
        """The part, with the time step and the layer of the whole."""
        return self.full.window(self.slices)

    def within(self, slices: tuple[slice, ...]) -> tuple[slice, ...]:
        """What other `slices` of the whole have in common with the part, counted from where it begins."""
        return tuple(
            slice(max(a.start, b.start) - b.start, min(a.stop, b.stop) - b.start)
            for a, b in zip(slices, self.slices, strict=True)
        )

    def crop(self, x: NDArray) -> NDArray:
        """The part of an array (..., *model.shape)."""
        return x[(..., *self.slices)]

    def embed(self, y: NDArray) -> NDArray:
        """An array of the part in the whole, zero elsewhere; the transpose of :meth:`crop`."""
        result = np.zeros((*y.shape[: y.ndim - self.full.ndim], *self.full.shape), y.dtype)
        result[(..., *self.slices)] = y
        return result


def aperture(op: LinearOperator, buffer: float) -> Limited:
    r"""`op` with each shot on the part of the model around its sources and receivers.

    .. math:: \sum_i E_i\; op_i(R_i m)\; C_i

    R restricts the model to a window, C and E restrict what is given and taken on its grid. All of the depth is in it.

    Parameters
    ----------
    op : operator
        A product of this library, or its Jacobian, from data or weights to data, weights or images.
    buffer : float, m
        How far a window reaches beyond the outermost source or receiver of its shot, horizontally.

    Returns
    -------
    operator of the same shapes
        On the whole grid: outside a window weights and perturbations have no effect, and an image is zero. Derivatives
        are those of the restricted operator, exactly.

    Raises
    ------
    ValueError
        For a negative buffer, or an operator whose shots cannot be told apart or whose input or output is a wavefield.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((201, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]], [[1750, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[200, 20], [300, 20]], [[1700, 20], [1800, 20]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> so.aperture(F, buffer=200.0)
    aperture(Pr @ A @ Ps.H): (2, 1, 101) -> (2, 2, 101)
    """
    op = compose(op)
    if not buffer >= 0:
        raise ValueError(f"The buffer is a length of 0 m or more, got {buffer}.")
    if not getattr(op, "model", None):
        raise ValueError(f"{describe(op)} is in no model of which an aperture could take a part.")
    samplers = list(_projections(op))
    if not samplers:
        raise ValueError(f"{op} has no sources or receivers around which a part of the model could lie.")
    if any(s.geometry.single for s in samplers):
        raise ValueError(f"{op} is of one shot without a shot axis: select it as op[[i]], not op[i].")
    if {s.nsrc for s in samplers} != {op.nsrc}:
        raise ValueError(f"{op} holds surveys of different shots: put each under an aperture of its own.")
    slices = [
        _slices(op.model, np.concatenate([s.geometry.positions[i] for s in samplers]), buffer) for i in range(op.nsrc)
    ]
    return Limited(op, slices)


class Limited(SeismicOperator):
    """What :func:`aperture` makes: an operator of which every shot has a window of its own."""

    def __init__(
        self,
        op: SeismicOperator,
        slices: Sequence[tuple[slice, ...]],
        parts: dict[int, SeismicOperator] | None = None,
    ) -> None:
        for word, kind in (("takes", op.takes), ("gives", op.gives)):
            if kind not in ("data", "grid"):
                raise ValueError(
                    f"{op} {word} {kind}: an aperture is for operators from data, weights or perturbations to data, "
                    "weights or images."
                )
        super().__init__(op.dims, op.dimsd, op.dtype, op.model)
        self.op, self.slices = op, list(slices)
        self.sums_shots, self.separable = op.sums_shots, not op.sums_shots
        self.takes, self.gives = op.takes, op.gives
        # The operators on the windows, which keep their backgrounds from product to product.
        self._parts: dict[int, SeismicOperator] = {} if parts is None else parts

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return len(self.slices)

    @property
    def single(self) -> bool:
        """Whether it is of the one shot of ``op[i]``, without a shot axis."""
        return any(s.geometry.single for s in _projections(self.op))

    def window(self, i: int) -> Window:
        """The part of the model of shot `i`."""
        return Window(self.model, self.slices[i])

    def part(self, i: int) -> SeismicOperator:
        """The operator of shot `i` on its window."""
        if i not in self._parts:
            self._parts[i] = (self.op if self.single else self.op[[i]]).within(self.window(i))
        return self._parts[i]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_parts": {}}

    # --- the operator

    def _forward(self, x):
        return self._collected(_Part(self, x))

    def _transposed(self, y):
        return self.H._forward(y)

    def _collected(self, task: _Part) -> NDArray:
        collector = self.collector()
        for part in map_shots(task, self.nsrc, self.cells):
            collector.add(part)
        return collector.total()

    @property
    def cells(self) -> int:
        """Cells of the largest padded window."""
        return max(prod(self.window(i).model.padded_shape) for i in range(self.nsrc))

    def collector(self) -> Collected | Summed:
        """Takes the results of one shot after the other."""
        if self.gives == "grid" and self.op.sums_shots:
            return Summed()
        return Collected(lambda parts: np.concatenate([part.ravel() for part in parts]).reshape(self.dimsd))

    def taken(self, i: int, x: NDArray) -> NDArray:
        """What the window of shot `i` takes of an input of all shots."""
        mine = x if self.single else self.op.shots_in(x, [i])
        return self.window(i).crop(mine) if self.takes == "grid" else mine

    def given(self, i: int, y: NDArray) -> NDArray:
        """What the window of shot `i` gives, in the whole model."""
        return self.window(i).embed(y) if self.gives == "grid" else y

    def _adjoint(self):
        return Limited(self.op.H, self.slices, {i: part.H for i, part in self._parts.items()})

    def conj(self):
        return Limited(self.op.conj(), self.slices)

    def _at(self, model):
        return Limited(self.op._at(model), self.slices)

    def within(self, window):
        """On a part of the model every shot has what its own window and that part have in common."""
        return Limited(self.op.within(window), [window.within(mine) for mine in self.slices])

    def __getitem__(self, index: ShotIndex) -> Limited:
        return Limited(self.op[index], [self.slices[i] for i in shot_indices(index, self.nsrc)])

    def shots_in(self, x, index):
        return self.op.shots_in(x, index)

    def shots_out(self, y, index):
        return self.op.shots_out(y, index)

    def derivative(self, this, tail, x):
        if tail is not None and derivative(tail, None, x) is not None:
            raise NotImplementedError(
                f"{self} stands before factors that depend on m, {tail.sentence}, and its derivative would hold on to "
                "what they give in this model. Put the whole product under one aperture."
            )
        x = x if tail is None else apply(tail, x)
        return Limited(this.op.jacobian(x), self.slices)

    def linearize(self, x):
        """``op @ x`` with its derivative, every shot on its window."""
        return _Linearized(self, self._as_input(x, copy=True))

    @property
    def sentence(self) -> str:
        return f"aperture({self.op.sentence})"


@dataclass(frozen=True)
class _Part:
    """The product of a shot's window with its part of an input."""

    op: Limited
    x: NDArray

    def __call__(self, i: int) -> NDArray:
        return self.op.given(i, apply(self.op.part(i), self.op.taken(i, self.x)))

    def only(self, i: int) -> _Part:
        return _Part(self.op[[i]], self.op.shots_in(self.x, [i]))


@dataclass(frozen=True)
class _LinearizedPart(_Part):
    """The same with its derivative."""

    def __call__(self, i: int) -> Linearization:
        return self.op.part(i).linearize(self.op.taken(i, self.x))

    def only(self, i: int) -> _LinearizedPart:
        return _LinearizedPart(self.op[[i]], self.op.shots_in(self.x, [i]))


@dataclass(frozen=True)
class _Pull:
    """The two gradients of a shot from its linearisation."""

    op: Limited
    parts: list[Linearization]
    y: NDArray

    def __call__(self, i: int) -> tuple[NDArray, NDArray]:
        gx, gm = self.parts[i].pull(self.op.H.taken(i, self.y))
        return self.op.H.given(i, gx), self.op.window(i).embed(gm)

    def only(self, i: int) -> _Pull:
        return _Pull(self.op[[i]], [self.parts[i]], self.op.shots_out(self.y, [i]))


class _Linearized:
    """The linearisations of all windows as one."""

    varies = True

    def __init__(self, op: Limited, x: NDArray) -> None:
        self.op, self.x = op, x
        self.parts = list(map_shots(_LinearizedPart(op, x), op.nsrc, op.cells))
        collector = op.collector()
        for i, part in enumerate(self.parts):
            collector.add(op.given(i, part.value))
        self.value = collector.total()

    def __iter__(self) -> Iterator:
        return iter((self.value, self.J))

    @cached_property
    def J(self) -> Limited:
        """The Jacobian, on the backgrounds the products left."""
        parts = {i: part.J for i, part in enumerate(self.parts)}
        return Limited(self.op.op.jacobian(self.x), self.op.slices, parts)

    def pull(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """``op.H @ y`` and ``J.H @ y``, in the marches of the first."""
        gradient, collector = Summed(), self.op.H.collector()
        for gx, gm in map_shots(_Pull(self.op, self.parts, y.reshape(self.op.dimsd)), self.op.nsrc, self.op.cells):
            collector.add(gx)
            gradient.add(gm)
        return collector.total(), gradient.total()


def _projections(op) -> Iterator[Projection]:
    """The samplers at points in a product, and in those that made the backgrounds of its derivatives."""
    match op:
        case Projection():
            yield op
        case Adjoint() | Scattering() | Configured() | Limited():
            yield from _projections(op.op)
        case Chain():
            for f in op.factors:
                yield from _projections(f)
        case Sum():
            for t in op.terms:
                yield from _projections(t)


def _slices(model: Model, points: NDArray, buffer: float) -> tuple[slice, ...]:
    """Cells from the first to the last of `points` and beyond by `buffer`, in all axes but the depth."""
    result = []
    for axis, (n, d, origin) in enumerate(zip(model.shape[:-1], model.spacing, model.origin, strict=False)):
        first = floor((points[:, axis].min() - buffer - origin) / d)
        last = ceil((points[:, axis].max() + buffer - origin) / d)
        size = min(n, ROUNDING * ceil((last - first + 1) / ROUNDING))
        start = min(max(0, (first + last + 1 - size) // 2), n - size)
        result.append(slice(start, start + size))
    return (*result, slice(0, model.shape[-1]))
