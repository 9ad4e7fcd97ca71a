"""Records of shots that may differ in their points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, DTypeLike, NDArray

from seisops.geometry import Geometry


class Records(NDArrayOperatorsMixin):
    """Data of a survey by shot: ``d[i]`` is a record (npoint, nt), and the whole is one vector for solvers.

    Data of a survey whose shots differ in their points are one flat array, which all operators take and give. This is
    the same array, indexed by shot.

    Parameters
    ----------
    geometry : Geometry
    d : array of ``geometry.shape`` or flat, or a list of records (npoint, nt)

    Attributes
    ----------
    shape : tuple of int
        That of the data, ``geometry.shape``.

    Raises
    ------
    ValueError
        If the data do not fit the geometry.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> rec = so.Geometry([[[100, 20], [200, 20]], [[300, 20]]], dt=2, t=10)
    >>> d = so.Records(rec, np.arange(18.0))
    >>> d[0].shape, d[1].shape, np.asarray(d).shape
    ((2, 6), (1, 6), (18,))
    >>> [float(record.max()) for record in d - 0.5 * d]
    [5.5, 8.5]
    """

    def __init__(self, geometry: Geometry, d: ArrayLike | Sequence[ArrayLike]) -> None:
        self.geometry = geometry
        if isinstance(d, (list, tuple)):
            d = geometry.join(d)
        self._shots = geometry.split(d)
        self._whole = np.asarray(d).reshape(geometry.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self._whole.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the samples."""
        return self._whole.dtype

    def ravel(self) -> NDArray:
        """The data as one vector."""
        return self._whole.ravel()

    def __len__(self) -> int:
        return len(self._shots)

    def __getitem__(self, index) -> NDArray | Records:
        """The record of a shot, or the records of several."""
        if isinstance(index, (int, np.integer)):
            return self._shots[index]
        chosen = np.arange(len(self))[index]
        return Records(self.geometry[index], [self._shots[i] for i in chosen])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        return np.array(self._whole, dtype, copy=copy)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        result = getattr(ufunc, method)(*(np.asarray(x) if isinstance(x, Records) else x for x in inputs), **kwargs)
        return Records(self.geometry, result) if np.shape(result) == self.shape else result

    def __repr__(self) -> str:
        return f"Records({self.geometry!r}, {self.dtype})"
