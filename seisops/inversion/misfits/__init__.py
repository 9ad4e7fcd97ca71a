r"""Misfits between synthetic and observed records, each with its gradient.

A misfit is any function ``(d_syn, d_obs) -> value, residual`` on records of one shot, time last, where the residual is
the gradient in the synthetic records:

.. math:: \phi(s, d) \in \mathbb{R}, \qquad r = \nabla_s\, \phi(s, d)

The values of all shots add up; shots run side by side in threads. What :func:`seisops.hessian` needs besides is a
method ``curvature(d_syn, d_obs)``, the second derivative as a PyLops operator.
"""

from seisops.inversion.misfits.samples import L2, Huber, StudentT
from seisops.inversion.misfits.traces import CrossCorrelation, Envelope
from seisops.inversion.misfits.transport import OptimalTransport

__all__ = ["L2", "CrossCorrelation", "Envelope", "Huber", "OptimalTransport", "StudentT"]
