r"""Each shot on the part of the model around its sources and receivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Linearization, Node, SeismicOperator, ShotIndex, apply, compose, derivative, describe
from seisops.algebra.calculus import asked, differentiable
from seisops.arrays import shot_indices
from seisops.execution.shots import map_shots
from seisops.imaging.grid_operators import Weighting
from seisops.imaging.window import Window, around
from seisops.operators.projection import Projection
from seisops.operators.scattering import VirtualSource
from seisops.operators.survey_operator import Collected, Summed
from seisops.units import warn_if_below


def aperture(op: LinearOperator, buffer: float) -> Aperture:
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
    warn_if_below(buffer, min(op.model.spacing), "A buffer", "m", "a cell")
    samplers = list(projections(op))
    if not samplers:
        raise ValueError(f"{op} has no sources or receivers around which a part of the model could lie.")
    if any(s.geometry.single for s in samplers):
        raise ValueError(f"{op} is of one shot without a shot axis: select it as op[[i]], not op[i].")
    if {s.nsrc for s in samplers} != {op.nsrc}:
        raise ValueError(f"{op} holds surveys of different shots: put each under an aperture of its own.")
    slices = [
        around(op.model, np.concatenate([s.geometry.positions[i] for s in samplers]), buffer) for i in range(op.nsrc)
    ]
    return Aperture(op, slices)


class Aperture(Node):
    """An operator of which every shot has a window of its own; made by :func:`aperture`."""

    def __init__(
        self,
        op: SeismicOperator,
        slices: Sequence[tuple[slice, ...]],
        ops: dict[int, SeismicOperator] | None = None,
    ) -> None:
        for word, kind in (("takes", op.takes), ("gives", op.gives)):
            if kind not in ("data", "grid"):
                raise ValueError(
                    f"{op} {word} {kind}: an aperture is for operators from data, weights or perturbations to data, "
                    "weights or images."
                )
        super().__init__(op.dims, op.dimsd, op.dtype, op.model)
        self.op, self.slices = op, list(slices)
        self.parts = (op,)
        self.takes, self.gives = op.takes, op.gives
        # The operators on the windows, which keep their backgrounds from product to product.
        self._ops: dict[int, SeismicOperator] = {} if ops is None else ops

    def rebuild(self, parts):
        return Aperture(*parts, self.slices)

    @property
    def separable(self) -> bool:
        """Whether it adds up no shots."""
        return not self.sums_shots

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return len(self.slices)

    @property
    def single(self) -> bool:
        """Whether it is of the one shot of ``op[i]``, without a shot axis."""
        return any(s.geometry.single for s in projections(self.op))

    def window(self, i: int) -> Window:
        """The part of the model of shot `i`."""
        return Window(self.model, self.slices[i])

    def part(self, i: int) -> SeismicOperator:
        """The operator of shot `i` on its window."""
        if i not in self._ops:
            self._ops[i] = (self.op if self.single else self.op[[i]]).within(self.window(i))
        return self._ops[i]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_ops": {}}

    def running(self):
        return (self, *map(self.part, range(self.nsrc)))

    # --- the operator

    def _forward(self, x):
        return self._collected(OnWindow(self, x))

    def _transposed(self, y):
        return self.H._forward(y)

    def _collected(self, task: OnWindow) -> NDArray:
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
        return Aperture(self.op.H, self.slices, {i: op.H for i, op in self._ops.items()})

    def within(self, window):
        """On a part of the model every shot has what its own window and that part have in common."""
        return Aperture(self.op.within(window), [window.within(mine) for mine in self.slices])

    def __getitem__(self, index: ShotIndex) -> Aperture:
        return Aperture(self.op[index], [self.slices[i] for i in shot_indices(index, self.nsrc)])

    def derivative(self, this, tail, x, wrt):
        if tail is not None and derivative(tail, None, x, wrt) is not None:
            raise NotImplementedError(
                f"{self} stands before factors that depend on m, {tail.sentence}, and its derivative would hold on to "
                "what they give in this model. Put the whole product under one aperture."
            )
        x = x if tail is None else apply(tail, x)
        return self.rebuild([this.op.jacobian(x, wrt=wrt)])

    def linearize(self, x, wrt=None):
        """``op @ x`` with its derivative, every shot on its window."""
        return OfAperture(self, differentiable(self, x), asked(self, wrt))

    @property
    def sentence(self) -> str:
        return f"aperture({self.op.sentence})"


@dataclass(frozen=True)
class OnWindow:
    """The product of a shot's window with its part of an input."""

    op: Aperture
    x: NDArray

    def __call__(self, i: int) -> NDArray:
        return self.op.given(i, apply(self.op.part(i), self.op.taken(i, self.x)))

    def only(self, i: int) -> OnWindow:
        return replace(self, op=self.op[[i]], x=self.op.shots_in(self.x, [i]))


@dataclass(frozen=True)
class _LinearizedOnWindow(OnWindow):
    """The same with its derivative."""

    wrt: tuple[str, ...] = ()

    def __call__(self, i: int) -> Linearization:
        return self.op.part(i).linearize(self.op.taken(i, self.x), wrt=self.wrt)


@dataclass(frozen=True)
class _Pull:
    """The two gradients of a shot from its linearisation."""

    op: Aperture
    parts: list[Linearization]
    y: NDArray

    def __call__(self, i: int) -> tuple[NDArray, NDArray]:
        gx, gm = self.parts[i].pull(self.op.H.taken(i, self.y))
        return self.op.H.given(i, gx), self.op.window(i).embed(gm)

    def only(self, i: int) -> _Pull:
        return _Pull(self.op[[i]], [self.parts[i]], self.op.shots_out(self.y, [i]))


class OfAperture(Linearization):
    """The linearisations on all windows."""

    def _run(self):
        self.parts = list(map_shots(_LinearizedOnWindow(self.op, self.x, self.wrt), self.op.nsrc, self.op.cells))
        collector = self.op.collector()
        for i, part in enumerate(self.parts):
            collector.add(self.op.given(i, part.value))
        return collector.total()

    def _jacobian(self):
        ops = {i: part.J for i, part in enumerate(self.parts)}
        return Aperture(self.op.op.jacobian(self.x, wrt=self.wrt), self.op.slices, ops)

    def _pull(self, y):
        gradient, collector = Summed(), self.op.H.collector()
        for gx, gm in map_shots(_Pull(self.op, self.parts, y), self.op.nsrc, self.op.cells):
            collector.add(gx)
            gradient.add(gm)
        return collector.total(), gradient.total()


def projections(op: LinearOperator) -> Iterator[Projection]:
    """The samplers at points in a product, and in those that made the backgrounds of its derivatives."""
    if isinstance(op, Projection):
        yield op
    elif not isinstance(op, (VirtualSource, Weighting)):
        # What makes a perturbation or weights may be of other shots.
        for part in getattr(op, "parts", ()):
            yield from projections(part)
