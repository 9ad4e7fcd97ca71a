"""The wavefield that an operator meets: marched when it is first needed, and kept as a storage says."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import Chain, SeismicOperator, apply, fuse
from seisops.algebra.operator import Footprint
from seisops.arrays import own
from seisops.execution.config import current
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.notices import warn
from seisops.operators.conditions import Condition
from seisops.operators.projection import Projection
from seisops.operators.survey_operator import SurveyOperator
from seisops.propagators import domain
from seisops.storage import History, Storage, Subsampled, Wave, estimate
from seisops.storage.base import BLOCK
from seisops.storage.exact import Whole


class BackgroundOperator(SurveyOperator):
    """An operator that meets a background wavefield U = op @ x, of which it keeps what a condition asks for.

    Parameters
    ----------
    model : Model
    geometry : Geometry
    dims, dimsd : tuple of int
    op, x, condition, storage
        As those of :class:`seisops.Scattering`.
    """

    def __init__(
        self, model: Model, geometry: Geometry, dims: tuple, dimsd: tuple, *, op: SeismicOperator | None, x: NDArray,
        condition: Condition, storage: Storage | None,
    ) -> None:  # fmt: skip
        super().__init__(model, geometry, dims, dimsd)
        self.op, self.x, self.condition = op, own(x, model.dtype), condition
        self.parts = () if op is None else (op,)
        self.storage = current().storage if storage is None else storage
        self._kept: dict[int, History] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict:
        made = ("_lock", "_kept", "_marched")
        return {k: v for k, v in self.__dict__.items() if k not in made} | {"_kept": {}}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    # --- the background

    def wave(self, adjoint: bool = False, make=None) -> Wave:
        """What a history of one shot's background is of."""
        wave, count = super().wave(adjoint, make), self.condition.count
        return wave if count == 1 else replace(wave, shape=(count, *wave.shape))

    def footprint(self, nsrc):
        return Footprint(wave=self.wave(), backgrounds=[self])

    @cached_property
    def chosen(self) -> Storage:
        """What `storage` comes to in the memory that was free when the background was first asked for."""
        wave = self.wave()
        storage = domain.agreed(self.storage.chosen(wave, self.nsrc * domain.sharers()), lambda s: s.nbytes(wave))
        estimate.check(wave, self.nsrc, storage)
        if isinstance(storage, Subsampled):
            self._warn_of_what_is_lost(storage)
        return storage

    def _warn_of_what_is_lost(self, storage: Subsampled) -> None:
        """Warn where the steps that are kept do not carry the band of the source."""
        propagation, z = self._marched
        source = getattr(propagation, "right", None)
        # Records that are marched back end with a jump, of any band: of sources alone it can be said.
        if source is None or propagation.adjoint_time or isinstance(source, BackgroundOperator):
            return
        q = np.concatenate(source.shots(z)) if isinstance(source, Projection) else source.wavelet
        lost = storage.lost(q, source.geometry.dt)
        if lost > 0.01:
            warn(
                f"Subsampled(fmax={storage.fmax:g}) leaves out {lost:.0%} of the energy that J and J.H need of this "
                "source: images and gradients are wrong. Give the highest frequency of the source, three times the "
                "peak frequency of a Ricker wavelet, in kHz.",
                told=self.model.told, cause=("subsampled", storage),
            )  # fmt: skip

    def history(self, adjoint: bool, make) -> History:
        """An empty history, for the march that `make` makes of it."""
        return self.chosen.history(self.wave(adjoint, make))

    def keep(self, histories: list[History]) -> None:
        """Take over the backgrounds of all shots."""
        with self._lock:
            self._kept.update(enumerate(histories))

    @cached_property
    def _marched(self) -> tuple[SeismicOperator | None, NDArray]:
        """The propagation whose wavefield is the background, and its input; None and the wavefield itself without."""
        propagation, z = _last_march(self.op, self.x)
        # Of what is complex on its way, real in the end; what a flat factor gives has no shape of its own.
        return propagation, z.real.reshape(self.dims if propagation is None else propagation.dims)

    def background(self, i: int) -> History:
        r"""g of shot `i`, (nt_comp, \*model.padded_shape)."""
        with self._lock:
            if i in self._kept:
                return self._kept[i]
            propagation, z = self._marched
        if propagation is None:
            history = Whole(
                self.nt, self.condition.kept_of(domain.part(self.model, self._shotwise(z)[i]), self.model.dt)
            )
        else:
            history = propagation.filled(i, z, self)
        with self._lock:
            return self._kept.setdefault(i, history)

    def _whole(self, i: int) -> NDArray:
        """g of shot `i` in one array, for products that are not fused."""
        g = np.empty((self.nt, *self.wave().shape), self.dtype)
        with self.background(i).reading(adjoint=False) as history:
            for start in range(0, self.nt, BLOCK):
                stop = min(start + BLOCK, self.nt)
                history.read(start, stop, g[start:stop])
        return domain.whole(self.model, g)


def _last_march(op: SeismicOperator | None, x: NDArray) -> tuple[SeismicOperator | None, NDArray]:
    """The propagation that ends ``op @ x`` and its input, or None and the product where none does."""
    if op is None:
        return None, x
    chain = op if isinstance(op, Chain) else Chain([op])
    first, *rest = fuse(chain.factors)
    z = x if chain.scale == 1 else chain.dtype.type(chain.scale) * x
    for f in reversed(rest):
        z = apply(f, z)
    return (first, z) if hasattr(first, "filled") else (None, apply(first, z))
