"""A march between two samplers, for every shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import Chain, ShotIndex, derivative
from seisops.algebra.operator import Footprint
from seisops.execution.cores import at_once, threads_at_points, threads_now, threads_per_shot
from seisops.execution.shots import shares_memory
from seisops.operators.projection import Projection
from seisops.operators.scattering import Scattering
from seisops.operators.survey_operator import RECEIVER, SOURCE, Collected, SurveyOperator, filters
from seisops.propagators.couplings import Wavefield
from seisops.propagators.footprint import workspace_bytes
from seisops.propagators.kernels import runs_threaded
from seisops.propagators.marching import Marching, Term
from seisops.storage import History
from seisops.time_operator import filtered
from seisops.wavelets import warn_if_undersampled


class _Everywhere:
    """The end of a propagation that no sampler stands at: the wavefield itself."""

    def __init__(self, A: SurveyOperator) -> None:
        self.A = A
        channels = A.model.channels
        self.channels, self.several = channels, len(channels) > 1
        self.coupling = Wavefield(channels=channels) if self.several else Wavefield(port=channels[0])

    def term(self, i: int, values: NDArray | None = None, end: str = RECEIVER) -> Term:
        return Term(self.coupling, {} if values is None else {"history": self._filtered(values, end, end == RECEIVER)})

    def shots(self, x: NDArray) -> NDArray:
        return self.A._shotwise(x)

    def recorded(self, i: int, payload: NDArray, end: str = RECEIVER) -> NDArray:
        return self._filtered(payload, end, end == SOURCE)

    def collector(self) -> Collected:
        return Collected(lambda parts: np.stack(parts).reshape(self.A.dims))

    def _filtered(self, x: NDArray, end: str, transpose: bool) -> NDArray:
        """Every channel on the time axis of the steps."""
        model = self.A.model
        found = {k: f for k, name in enumerate(self.channels) if (f := filters(model, name, end))}
        if not found:
            return x
        x = x.copy()
        for k, f in found.items():
            x[:, k] = filtered(x[:, k], model.dt, f[::-1] if transpose else f, transpose=transpose)
        return x


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

    def __init__(self, left, A: SurveyOperator, right, *, adjoint: bool = False) -> None:
        dims = A.dims if right is None else right.dimsd
        dimsd = A.dims if left is None else left.dimsd
        super().__init__(A.model, A.geometry, dims, dimsd)
        self.left, self.A, self.right, self.adjoint_time = left, A, right, adjoint
        # How many factors of the product this stands for, and which of them is A.
        self.length, self.position = 1 + (left is not None) + (right is not None), int(left is not None)
        self.measure, self.source = left or _Everywhere(A), right or _Everywhere(A)
        if left is not None and right is not None and left.sampled[1] != right.sampled[1]:
            # Refused where the product is made.
            _ = self.unfused

    @cached_property
    def unfused(self) -> Chain:
        """The product that it runs for."""
        factors = (self.left, self.A.H if self.adjoint_time else self.A, self.right and self.right.H)
        return Chain([op for op in factors if op is not None])

    @property
    def sentence(self) -> str:
        return self.unfused.sentence

    @cached_property
    def sampled(self) -> tuple:
        """The sampling at its ends."""
        return self.unfused.sampled

    @cached_property
    def transposed(self) -> Propagation:
        """``right A.H left.H``, the same march the other way."""
        return Propagation(self.right, self.A, self.left, adjoint=not self.adjoint_time)

    @cached_property
    def sides(self) -> tuple[str, str]:
        """At which end of A it injects, and at which it records."""
        return (RECEIVER, SOURCE) if self.adjoint_time else (SOURCE, RECEIVER)

    def _adjoint(self):
        return self.transposed

    def _forward(self, x):
        return self._results(x)[0]

    def _transposed(self, y):
        return self.transposed._results(y)[0]

    def _at(self, model):
        return self._each_end(lambda op: op._at(model))

    def within(self, window):
        return self._each_end(lambda op: op.within(window))

    def __getitem__(self, index: ShotIndex) -> Propagation:
        return self._each_end(lambda op: op[index])

    def alone(self, i: int) -> Propagation:
        return self._each_end(lambda op: op.alone(i))

    def _each_end(self, change) -> Propagation:
        left, right = (None if end is None else change(end) for end in (self.left, self.right))
        return Propagation(left, change(self.A), right, adjoint=self.adjoint_time)

    def derivative(self, this, tail, x, wrt):
        return derivative(self.unfused if this is self else self.unfused.H, tail, x, wrt)

    def footprint(self, nsrc):
        backgrounds = [b for end in (self.left, self.right) if end for b in end.footprint(nsrc).backgrounds]
        march = workspace_bytes(self.model, adjoint=self.adjoint_time, levels=2)
        if backgrounds:
            # What is kept of a wavefield may be its second difference in time.
            march = max(march, workspace_bytes(self.model))
        shot = march + sum(b.chosen.running_bytes(b.wave(), march) for b in backgrounds)
        return Footprint(at_once(nsrc, prod(self.model.padded_shape)) * shot, self.wave(), backgrounds)

    def shots_in(self, x, index):
        return super().shots_in(x, index) if self.right is None else self.right.shots_out(x, index)

    def shots_out(self, y, index):
        return super().shots_out(y, index) if self.left is None else self.left.shots_out(y, index)

    def transposed_imaging(self, y: NDArray, background: Scattering) -> tuple[NDArray, NDArray]:
        """The transposed product, and the image of its wavefield in `background` from the same march."""
        return self.transposed._results(y, background)

    def _results(self, x: NDArray, also: Scattering | None = None) -> list[NDArray]:
        """The product, and the image of its wavefield in a background where asked for."""
        inputs = self._inputs(x)
        ends = [self.measure] if also is None else [self.measure, also]
        collectors = [end.collector() for end in ends]
        for parts, _ in self._each(_March(self, inputs, ends)):
            for collector, part in zip(collectors, parts, strict=True):
                collector.add(part)
        return [collector.total() for collector in collectors]

    def _inputs(self, x: NDArray) -> Sequence[NDArray]:
        """What every shot injects."""
        inputs = self.source.shots(x)
        if isinstance(self.source, Projection) and not self.adjoint_time:
            warn_if_undersampled(self.model, self.source.geometry, x)
        return inputs

    def forward_keeping(self, x: NDArray, background: Scattering) -> NDArray:
        """The product, whose march also leaves what `background` keeps of it."""
        if not shares_memory():
            # Another process cannot leave it here: it is marched again where it is needed.
            return self._forward(x)
        collector, histories = self.measure.collector(), []
        for recorded, history in self._each(_March(self, self._inputs(x), [self.measure], background)):
            collector.add(*recorded)
            histories.append(history)
        background.keep(histories)
        return collector.total()

    def filled(self, i: int, x: NDArray, background: Scattering) -> History:
        """What `background` keeps of shot `i`'s wavefield."""
        return _March(self, self.source.shots(x), [], background)(i)[1]

    def marching(self, source: Term, measures: list[Term]) -> Marching:
        """The march of a shot, from what it injects to what it measures."""
        share = threads_per_shot(prod(self.model.padded_shape))
        threads = threads_now(share)
        return Marching(
            self.model, self.nt, adjoint=self.adjoint_time, source=source, measures=measures,
            threaded=runs_threaded(share), threads=threads, threads_at_points=threads_at_points(threads),
        )  # fmt: skip


@dataclass(frozen=True)
class _March:
    """The march of a shot: what `ends` make of its wavefield, and the history of what `keeper` keeps of it."""

    propagation: Propagation
    inputs: Sequence[NDArray]
    ends: Sequence[SurveyOperator]
    keeper: Scattering | None = None

    def __call__(self, i: int) -> tuple[list[NDArray], History | None]:
        march = self.propagation
        sends, takes = march.sides
        source, measures = march.source.term(i, self.inputs[i], sends), [end.term(i, None, takes) for end in self.ends]
        if self.keeper is None:
            with march.marching(source, measures) as marching:
                return self._recorded(i, marching.all()), None
        # A history that kept its operator alive, and the other way round, would keep its memory too.
        filling = self.keeper.condition.filling

        def make(history: History) -> Marching:
            return march.marching(source, [*measures, filling(history)])

        history = self.keeper.history(march.adjoint_time, make)
        if not self.ends and not history.marched:
            return [], history
        with make(history) as marching:
            return self._recorded(i, marching.all()), history

    def _recorded(self, i: int, payloads: Sequence[NDArray]) -> list[NDArray]:
        _, takes = self.propagation.sides
        return [end.recorded(i, payload, takes) for end, payload in zip(self.ends, payloads, strict=False)]

    def only(self, i: int) -> _March:
        march = self.propagation
        if march.geometry.single:
            return self
        alone, (_, *images) = march.alone(i), self.ends
        return _March(alone, [self.inputs[i]], [alone.measure, *(image.alone(i) for image in images)])
