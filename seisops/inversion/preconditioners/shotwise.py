"""Operators on records that act on every shot by itself."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import DTypeLike
from pylops import LinearOperator

from seisops.algebra import Constant, ShotIndex
from seisops.arrays import real, shot_indices
from seisops.geometry import Geometry


class ShotWise(Constant):
    r"""A PyLops operator on the records of every shot, which remains one when shots are selected.

    .. math:: d_i \mapsto P_i\, d_i

    Parameters
    ----------
    make : callable
        From the geometries of one shot to a PyLops operator on its record, (npoint, nt) to (npoint, nt).
    *geometries : Geometry
        What `make` takes; the first is that of the records. All have the same shots.
    name : str
        How a product shows it.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Notes
    -----
    From data (nsrc, npoint, nt) to data of the same shape; flat where the shots differ in their points. The operator of
    a shot is made when it is applied, so that the weights of a large survey are never in memory together.

    Raises
    ------
    ValueError
        If the geometries have different numbers of shots, or the operator of a shot has another shape than its record.

    Examples
    --------
    >>> import numpy as np, pylops, seisops as so
    >>> rec = so.Geometry(np.zeros((4, 10, 2)), dt=4.0, t=400.0)
    >>> P = so.preconditioners.ShotWise(lambda g: pylops.Flip(g.shape[-2:]), rec, name="Flip")
    >>> P, P[1:3]
    (Flip: (4, 10, 101) -> (4, 10, 101), Flip: (2, 10, 101) -> (2, 10, 101))
    """

    separable = True
    takes = gives = "data"

    def __init__(
        self,
        make: Callable[..., LinearOperator],
        *geometries: Geometry,
        name: str = "P",
        dtype: DTypeLike = "float32",
    ) -> None:
        self.geometry = geometries[0]
        if len({g.nsrc for g in geometries}) > 1:
            raise ValueError(f"{name} needs geometries of the same shots, got {', '.join(map(repr, geometries))}.")
        super().__init__(self.geometry.shape, self.geometry.shape, dtype)
        self.make, self.geometries, self.name = make, geometries, name

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return self.geometry.nsrc

    def __getitem__(self, index: ShotIndex) -> ShotWise:
        return ShotWise(self.make, *(g[index] for g in self.geometries), name=self.name, dtype=self.dtype)

    def shots_in(self, x, index):
        shots = self.geometry.split(x)
        return self.geometry[index].join([shots[i] for i in shot_indices(index, self.nsrc)])

    shots_out = shots_in

    def shot(self, i: int) -> LinearOperator:
        """The operator on the record of shot `i`, (npoint, nt)."""
        op = self.make(*(g if g.single else g[i] for g in self.geometries))
        n = self.geometry.counts[i] * self.geometry.nt
        if op.shape != (n, n):
            raise ValueError(f"{self.name} of shot {i} has shape {op.shape}, its record has {n} samples.")
        return op

    def _forward(self, d):
        return self._joined(self.shot(i).matvec(s.ravel()) for i, s in enumerate(self.geometry.split(d)))

    def _transposed(self, d):
        return self._joined(self.shot(i).rmatvec(s.ravel()) for i, s in enumerate(self.geometry.split(d)))

    def _joined(self, shots):
        return self.geometry.join([self._record(s) for s in shots])

    def _record(self, s):
        # Weights have double precision, what they make of records has the operator's.
        return real(s, f"What {self.name} makes of records", self.dtype).reshape(-1, self.geometry.nt)
