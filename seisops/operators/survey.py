"""The modelling of a survey in one line."""

from __future__ import annotations

from seisops.algebra import SeismicOperator
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.modeling import Modeling
from seisops.operators.projection import Projection


def modeling(model: Model, src: Geometry, rec: Geometry) -> SeismicOperator:
    r"""Model the records of a survey: ``Pr @ A @ Ps.H``, from point sources to receivers.

    .. math:: F(m) = P_r\, A(m)^{-1} P_s^T

    Parameters
    ----------
    model : Model
    src, rec : Geometry
        Where every shot fires and is recorded, with the same time axis.

    Returns
    -------
    operator from `src.shape` to `rec.shape`

    Raises
    ------
    ValueError
        If the two do not have the same shots or time axis, or a point is outside of the model.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> rec = so.Geometry.spread([100, 400], depth=55.5, nsrc=1, dt=2, t=200)
    >>> F = so.modeling(model, src, rec)
    >>> F
    Pr @ A @ Ps.H: (1, 1, 101) -> (1, 2, 101)
    >>> d = F @ so.ricker(src, f0=0.02)
    """
    if not isinstance(model, Model) or not isinstance(src, Geometry) or not isinstance(rec, Geometry):
        given = ", ".join(type(x).__name__ for x in (model, src, rec))
        raise TypeError(f"modeling takes (model, src, rec), a Model and two Geometries; got ({given}).")
    return Projection(model, rec) @ Modeling(model, rec) @ Projection(model, src).H
