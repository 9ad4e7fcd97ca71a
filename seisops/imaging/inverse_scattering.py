r"""Imaging conditions: what of two wavefields makes an image, each exactly adjoint to its linearised source.

The adjoint-state condition of :func:`seisops.Jacobian` images the misfit's gradient, with long wavelengths along the
paths between source, reflector and receiver. With u and v the two wavefields and S the correlations

.. math:: S_g v = -\sum_n g_n v_n,\qquad S_u v = -\sum_n u_n v_n,\qquad g = \ddot u

the inverse-scattering condition keeps what is reflected and its complement what is transmitted:

.. math:: -\sum_n m\,g_n v_n \pm \nabla u_n \cdot \nabla v_n

As :math:`\nabla u \cdot \nabla v = \tfrac12 (\nabla^2(u v) - u \nabla^2 v - v \nabla^2 u)`, and
:math:`\nabla^2 u = m \ddot u` away from the source, integration by parts in time leaves
:math:`\tfrac12 \nabla^2 S_u` of the first and :math:`2 m S_g - \tfrac12 \nabla^2 S_u` of the second: two
correlations and a Laplacian, and no gradient of a wavefield is ever formed.

References
----------
T. Op 't Root, C. Stolk and M. de Hoop, 2012, Linearized inverse scattering based on seismic reverse time migration,
Journal de Mathematiques Pures et Appliquees 98. N. Whitmore and S. Crawley, 2012, Applications of RTM inverse
scattering imaging conditions, SEG Technical Program. H. Douma et al., 2010, On the connection between artifact
filtering in reverse-time migration and adjoint tomography, Geophysics 75.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pylops import LinearOperator

from seisops.algebra import Adjoint, SeismicOperator, Sum, describe, product
from seisops.imaging.grid_operators import Laplacian, Weighting
from seisops.imaging.per_offset import PerOffset
from seisops.model import Model
from seisops.operators.conditions import (
    ADJOINT_STATE,
    Condition,
    Correlation,
    Perturbations,
    SubsurfaceOffsets,
)
from seisops.operators.scattering import Scattering, VirtualSource


def inverse_scattering(J: LinearOperator) -> SeismicOperator:
    r"""The Jacobian with the inverse-scattering imaging condition, which images reflectors without their long waves.

    .. math:: J_{is} = P_r A\, S_u^T\, (\tfrac12 \nabla^2), \qquad J_{is}^T = (\tfrac12 \nabla^2)^T S_u A^T P_r^T

    Parameters
    ----------
    J : operator
        From :func:`seisops.Jacobian` of a product of this library, or a sum of such.

    Returns
    -------
    operator of the same shapes
        Its perturbation is relative, dm / m: the condition has a factor m more than the adjoint-state one.

    Raises
    ------
    ValueError
        If `J` is no Jacobian.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> so.imaging.inverse_scattering(F.jacobian(so.ricker(src, f0=0.02)))
    0.5 * Pr @ A @ C.H @ L: (51, 41) -> (1, 2, 101)
    """
    return _each_term(J, _inverse_scattering)


def complement(J: LinearOperator) -> SeismicOperator:
    r"""The Jacobian with the complement of the inverse-scattering condition, which keeps the long waves alone.

    .. math:: J_c = P_r A\, (2 S_g^T m - S_u^T\, \tfrac12 \nabla^2)

    Parameters, result and errors are those of :func:`inverse_scattering`; it marches twice.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> F = so.Projection(model, src) @ so.Modeling(model, src) @ so.Projection(model, src).H
    >>> so.imaging.complement(F.jacobian(so.ricker(src, f0=0.02))).shape
    (101, 2091)
    """
    return _each_term(J, _complement)


def subsurface_offsets(J: LinearOperator, cells: int, axis: int = 0) -> SeismicOperator:
    r"""The Jacobian with images extended by subsurface offset, see :mod:`seisops.operators.conditions`.

    .. math:: J_h = P_r A\, S_h^T, \qquad (S_h v)(x, h) = -\sum_n g_n(x - h)\, v_n(x + h)

    Parameters
    ----------
    J : operator
        From :func:`seisops.Jacobian` of a product of this library, or a sum of such.
    cells : int
        Half offsets h are -cells ... cells, in cells.
    axis : int
        The axis of the model they are along; the first, a horizontal one, by default.

    Returns
    -------
    operator from ``(2 cells + 1, *model.shape)`` to ``J.dimsd``
        Of a perturbation at zero offset it is J. All offsets are imaged in one march a shot.

    Raises
    ------
    ValueError
        If `J` is no Jacobian, for no axis of the model, or offsets that do not fit on it.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> F = so.Projection(model, src) @ so.Modeling(model, src) @ so.Projection(model, src).H
    >>> so.imaging.subsurface_offsets(F.jacobian(so.ricker(src, f0=0.02)), cells=5)
    Pr @ A @ Sh.H: (11, 51, 41) -> (1, 1, 101)
    """

    def extended(before: list, S: Scattering, after: list, scale: complex) -> SeismicOperator:
        condition = SubsurfaceOffsets(cells, axis, of=S.condition)
        condition.dims(J.model)
        each = [PerOffset(op, 2 * cells + 1) for op in after]
        return product(*before, _under(S, condition).H, *each, scale=scale)

    return _each_term(J, extended)


def laplacian(model: Model) -> Laplacian:
    """The Laplacian of the model's order on its grid, see :class:`seisops.imaging.grid_operators.Laplacian`."""
    return Laplacian(model)


def _each_term(J: LinearOperator, made: Callable) -> SeismicOperator:
    """What is `made` of what stands before the image operator of a Jacobian, of that itself, and of what follows."""
    if isinstance(J, Sum):
        return Sum([_each_term(t, made) for t in J.terms])
    factors = list(getattr(J, "factors", ()))
    images = [i for i, f in enumerate(factors) if isinstance(f, Adjoint) and isinstance(f.op, Scattering)]
    condition = factors[images[0]].op.condition if len(images) == 1 else None
    if condition != ADJOINT_STATE and not isinstance(condition, Perturbations):
        raise ValueError(f"{describe(J)} is no Jacobian: an imaging condition is one of so.Jacobian(F, q).")
    before, (image, *after) = factors[: images[0]], factors[images[0] :]
    if any(isinstance(f, (Scattering, VirtualSource)) for f in _parts(J) if f is not image.op):
        raise ValueError(f"{describe(J)} is a second derivative: an imaging condition is one of so.Jacobian(F, q).")
    return made(before, image.op, after, J.scale)


def _parts(op: LinearOperator) -> Iterator[LinearOperator]:
    """An operator, and all that it and its backgrounds are made of."""
    yield op
    held = getattr(op, "op", None)
    for part in (*getattr(op, "factors", ()), *getattr(op, "terms", ()), *([] if held is None else [held])):
        yield from _parts(part)


def _under(S: Scattering, condition: Condition) -> Scattering:
    """The image operator with another condition."""
    return Scattering(S.model, S.geometry, S.op, S.x, condition=condition, storage=S.storage)


def _acoustic(S: Scattering, after: list) -> None:
    """Refuse what the conditions of reflections and transmissions do not hold for."""
    if S.condition != ADJOINT_STATE or after:
        raise ValueError(
            f"This condition is of perturbations of the squared slowness in sound of constant density, so.Jacobian(F, "
            f"q) or wrt='m'; here are those of {S.model.medium}" + (", in other parameters." if after else ".")
        )


def _inverse_scattering(before: list, S: Scattering, after: list, scale: complex) -> SeismicOperator:
    _acoustic(S, after)
    return product(*before, _under(S, Correlation()).H, Laplacian(S.model), scale=0.5 * scale)


def _complement(before: list, S: Scattering, after: list, scale: complex) -> SeismicOperator:
    _acoustic(S, after)
    both = product(*before, S.H, Weighting(S.model), scale=2 * scale)
    return both - _inverse_scattering(before, S, after, scale)
