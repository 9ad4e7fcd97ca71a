r"""The operators: modelling A(m)⁻¹, the samplers Pr, Ps, Pw, and what products of them become.

With wavefields u of axes (shot, time, x, z):

=============== =============================================== ==============================
operator        product                                         adjoint
=============== =============================================== ==============================
Projection      d = Wᵀ R u, records at points                   W, Rᵀ: injects at points
LRWF            w = Σₙ q[n] u[n], correlates with a wavelet     w(x) q(t), an extended source
Modeling        u = A(m)⁻¹ s, the wave equation                 the wave equation backwards
Scattering      dm = -Padᵀ Σₙ g[n] u[n], the image              -dm ∘ g, the Born source
VirtualSource   -dm ∘ ∂²u/∂t²                                   itself
Propagation     left A right.H in one march                     right A.H left.H
=============== =============================================== ==============================

The first two are in :mod:`seisops.operators.samplers`, the two that derivatives are made of in
:mod:`seisops.operators.scattering`; what solves the wave equation is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import Chain, SeismicOperator, ShotIndex, dependent, product
from seisops.execution.cores import threads_at_points, threads_per_shot
from seisops.execution.shots import shares_memory
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.samplers import LRWF, Projection
from seisops.operators.scattering import Scattering, VirtualSource
from seisops.operators.survey_operator import Collected, SurveyOperator, wavefield_shape
from seisops.propagators.couplings import Wavefield
from seisops.propagators.marching import Marching, Term
from seisops.storage import History
from seisops.wavelets import warn_if_undersampled

__all__ = ["LRWF", "Jacobian", "Modeling", "Projection", "Propagation", "Scattering", "VirtualSource"]


class Modeling(SurveyOperator):
    r"""The wave equation: from sources everywhere to the wavefield.

    .. math:: u = A(m)^{-1} s, \qquad \frac{m}{h^2} (u_{n+1} - 2 u_n + u_{n-1}) = L u_n + s_n

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and how long; its positions are not used.

    Notes
    -----
    From sources (nsrc, nt_comp, \*model.padded_shape) to wavefields of the same shape. The computational
    time axis is isometric: a wavefield made from data is sqrt(geometry.dt / model.dt) times
    smaller than its physical value, which a Projection on the left restores.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> F
    Pr @ A @ Ps.H: (1, 1, 101) -> (1, 2, 101)
    >>> d = F @ so.ricker(src, f0=0.02)
    """

    propagates = True
    takes = gives = "wavefields"

    def __init__(self, model: Model, geometry: Geometry) -> None:
        shape = wavefield_shape(model, geometry)
        super().__init__(model, geometry, shape, shape)
        self.name = "A"

    def _at(self, model):
        return Modeling(model, self.geometry)

    def within(self, window):
        return self._at(window.model)

    def __getitem__(self, index: ShotIndex) -> Modeling:
        return Modeling(self.model, self.geometry[index])

    def propagation(self, left, right, adjoint: bool = False) -> Propagation:
        """The march ``left A right.H`` (or with A.H) in one kernel."""
        return Propagation(left, self, right, adjoint=adjoint)

    def _forward(self, s):
        return self.propagation(None, None)._forward(s)

    def _transposed(self, u):
        return self.propagation(None, None)._transposed(u)

    def derivative(self, this, tail, x):
        # A(m) u = s gives A dU = -dm d²u/dt²; transposed likewise, as the second difference is symmetric.
        behind = this if tail is None else product(this, tail)
        return product(this, Scattering(self.model, self.geometry, behind, x).H)


class _Everywhere:
    """The end of a propagation that no sampler stands at: the wavefield itself."""

    def __init__(self, A: Modeling) -> None:
        self.A = A

    def term(self, i: int, values: NDArray | None = None) -> Term:
        return Term(Wavefield(), {} if values is None else {"history": values})

    def shots(self, x: NDArray) -> NDArray:
        return self.A._shotwise(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        return payload

    def collector(self) -> Collected:
        return Collected(lambda parts: np.stack(parts).reshape(self.A.dims))


class Propagation(SurveyOperator):
    """What fusion makes of ``left @ A @ right.H``: one march for every shot.

    Parameters
    ----------
    left, right : sampler or None
        A :class:`Projection`, :class:`LRWF` or :class:`Scattering`; None is the wavefield itself.
    A : Modeling
    adjoint : bool
        March ``left @ A.H @ right.H`` instead.

    Notes
    -----
    From what `right` records to what `left` records.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    >>> (Pr @ A @ Pr.H).fused[0]
    Pr @ A @ Ps.H: (1, 1, 101) -> (1, 1, 101)
    """

    def __init__(self, left, A: Modeling, right, *, adjoint: bool = False) -> None:
        dims = A.dims if right is None else right.dimsd
        dimsd = A.dims if left is None else left.dimsd
        super().__init__(A.model, A.geometry, dims, dimsd)
        self.left, self.A, self.right, self.adjoint_time = left, A, right, adjoint
        # How many factors of the product this stands for, and which of them is A.
        self.length, self.position = 1 + (left is not None) + (right is not None), int(left is not None)
        unfused = Chain([op for op in (left, A.H if adjoint else A, right and right.H) if op is not None])
        self.name, self.sampled = unfused.sentence, unfused.sampled

    def _forward(self, x):
        return self._run(x, reverse=False)[0]

    def _transposed(self, y):
        return self._run(y, reverse=True)[0]

    def __getitem__(self, index: ShotIndex) -> Propagation:
        return self._each_end(lambda op: op[index])

    def alone(self, i: int) -> Propagation:
        return self._each_end(lambda op: op.alone(i))

    def _each_end(self, change) -> Propagation:
        left, right = (None if end is None else change(end) for end in (self.left, self.right))
        return Propagation(left, change(self.A), right, adjoint=self.adjoint_time)

    def shots_in(self, x, index):
        return super().shots_in(x, index) if self.right is None else self.right.shots_out(x, index)

    def shots_out(self, y, index):
        return super().shots_out(y, index) if self.left is None else self.left.shots_out(y, index)

    def transposed_imaging(self, y: NDArray, background: Scattering) -> tuple[NDArray, NDArray]:
        """The transposed product, and the image of its wavefield in `background` from the same march."""
        return self._run(y, reverse=True, also=background)

    def _ends(self, reverse: bool):
        """What injects, what records, and whether the march is that of the transpose."""
        left, right = (_Everywhere(self.A) if end is None else end for end in (self.left, self.right))
        return (left, right, not self.adjoint_time) if reverse else (right, left, self.adjoint_time)

    def _run(self, x: NDArray, *, reverse: bool, also: Scattering | None = None) -> list[NDArray]:
        source, measure, adjoint = self._ends(reverse)
        inputs = source.shots(x)
        self._warn(source, inputs, adjoint)
        collectors = [end.collector() for end in (measure, also) if end is not None]
        for parts in self._each(_Marched(self, inputs, reverse, also)):
            for collector, part in zip(collectors, parts, strict=True):
                collector.add(part)
        return [collector.total() for collector in collectors]

    def forward_keeping(self, x: NDArray, background: Scattering) -> NDArray:
        """The product, whose march also leaves what `background` keeps of it."""
        if not shares_memory():
            # Another process cannot leave it here: it is marched again where it is needed.
            return self._forward(x)
        source, measure, adjoint = self._ends(reverse=False)
        inputs = source.shots(x)
        self._warn(source, inputs, adjoint)
        collector, histories = measure.collector(), []
        for recorded, history in self._each(lambda i: self._kept(i, inputs, background)):
            collector.add(recorded)
            histories.append(history)
        background.keep(histories)
        return collector.total()

    def _kept(self, i: int, inputs, background: Scattering) -> tuple[NDArray, History]:
        """What shot `i` records, and its background."""
        source, measure, adjoint = self._ends(reverse=False)
        # A history that kept its operator alive, and the other way round, would keep its memory too.
        filling = background.condition.filling

        def make(history: History) -> Marching:
            return self._marching(source.term(i, inputs[i]), [measure.term(i), filling(history)], adjoint)

        history = background.history(adjoint, make)
        with make(history) as marching:
            payload, _ = marching.all()
        return measure.recorded(i, payload), history

    def filled(self, i: int, x: NDArray, background: Scattering) -> History:
        """What `background` keeps of shot `i`'s wavefield."""
        source, _, adjoint = self._ends(reverse=False)
        values, filling = source.shots(x)[i], background.condition.filling

        def make(history: History) -> Marching:
            return self._marching(source.term(i, values), [filling(history)], adjoint)

        history = background.history(adjoint, make)
        if history.marched:
            with make(history) as marching:
                marching.all()
        return history

    def _warn(self, source, inputs, adjoint: bool) -> None:
        if isinstance(source, Projection) and not adjoint:
            warn_if_undersampled(self.model, source.geometry, np.concatenate(inputs))

    def _marching(self, source: Term, measures: list[Term], adjoint: bool) -> Marching:
        threads = threads_per_shot(int(np.prod(self.model.padded_shape)))
        return Marching(
            self.model, self.nt, adjoint=adjoint, source=source, measures=measures,
            threads=threads, threads_at_points=threads_at_points(threads),
        )  # fmt: skip


@dataclass(frozen=True)
class _Marched:
    """The march of a shot, forwards or in reverse: what it records, and its image in a background where asked for."""

    propagation: Propagation
    inputs: Sequence[NDArray]
    reverse: bool
    also: Scattering | None

    def __call__(self, i: int) -> list[NDArray]:
        source, measure, adjoint = self.propagation._ends(self.reverse)
        ends = [end for end in (measure, self.also) if end is not None]
        term = source.term(i, self.inputs[i])
        with self.propagation._marching(term, [end.term(i) for end in ends], adjoint) as marching:
            return [end.recorded(i, payload) for end, payload in zip(ends, marching.all(), strict=True)]

    def only(self, i: int) -> _Marched:
        if self.propagation.geometry.single:
            return self
        also = None if self.also is None else self.also.alone(i)
        return _Marched(self.propagation.alone(i), [self.inputs[i]], self.reverse, also)


def Jacobian(op: SeismicOperator, x: ArrayLike, wrt: str = "m") -> SeismicOperator:
    r"""The derivative of a composed operator: Born modelling, whose adjoint is reverse-time migration.

    .. math:: J\,dm = \frac{\partial\, (op(m)\, x)}{\partial m}\, dm

    Parameters
    ----------
    op : operator
        Any composition; PyLops factors count as constant.
    x : array of ``op.dims``
        The source q of ``F = Pr @ A @ Ps.H``, the weights of an extended source, data for an adjoint.
    wrt : {"m"}
        The parameter: squared slowness, s²/km².

    Returns
    -------
    operator from ``model.shape`` to ``op.dimsd``
        It keeps the background wavefield while memory allows, so that J and J.H cost one march a shot.

    Raises
    ------
    ValueError
        If `op` does not depend on the parameter.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> so.Jacobian(F, so.ricker(src, f0=0.02))
    Pr @ A @ S.H: (51, 41) -> (1, 2, 101)
    """
    return dependent(op).jacobian(x, wrt)
