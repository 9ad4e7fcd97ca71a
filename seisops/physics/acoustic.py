"""Sound of constant density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seisops.physics.medium import Medium, Parameter, Spelling, leapfrog_step
from seisops.physics.scheme import Scheme
from seisops.physics.steps import Receiver, Source, Stage
from seisops.physics.terms import Difference, Field


@dataclass(frozen=True)
class Acoustic(Medium):
    r"""Sound of constant density, of which the squared slowness m = 1/v² is the one parameter.

    .. math:: m\,\ddot u - \nabla^2 u = s

    Leapfrog in time, the compact Laplacian of the model's order in space.
    """

    parameters: ClassVar = {"m": Parameter("squared slowness", "s²/km²")}
    spellings: ClassVar = {"v": Spelling("m", "velocity", "km/s", "1/v**2", "1/sqrt(m)", known=True)}
    coefficients: ClassVar = {"m": "m"}
    speed: ClassVar = "1/sqrt(m)"

    def scheme(self, ndim: int) -> Scheme:
        u = Field("u", (0,) * ndim, inertia="m", parity=-1)
        laplacian = sum(Difference(axis, degree=2)(u.value) for axis in range(ndim))
        return Scheme((u,), (Stage("u", laplacian.terms), Source("p", "u"), Receiver("p", "u")))

    def stable_step(self, spacing: tuple[float, ...], order: int) -> float:
        return leapfrog_step(spacing, order)
