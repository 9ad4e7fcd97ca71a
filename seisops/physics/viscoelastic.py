"""Waves of pressure and shear that are attenuated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from seisops.physics.elastic import Elastic, isotropic
from seisops.physics.medium import Parameter
from seisops.physics.relaxation import Relaxation
from seisops.physics.solid import Solid


@dataclass(frozen=True)
class Viscoelastic(Solid):
    r"""An isotropic solid whose moduli of P and S waves relax: velocities vp, vs at a frequency, and Qp, Qs.

    .. math:: \dot\sigma = C_U \dot e + \sum_l r_l, \qquad \tau_{\sigma l}\,\dot r_l = -(r_l + T_l\,\dot e)

    where the moduli of T_l are those of the relaxed solid, times the strengths τ_l that fit Qp and Qs (see
    :class:`seisops.physics.relaxation.Relaxation`), and C_U = C_R + ΣT_l. Where nothing shears Qs has no effect. See
    :class:`seisops.physics.solid.Solid` for the grid and the components.

    Parameters
    ----------
    f_ref : float, kHz
    mechanisms : int
        How many, 1 to 3.

    References
    ----------
    J. Robertsson, J. Blanch and W. Symes, 1994, Viscoelastic finite-difference modeling, Geophysics 59.
    """

    f_ref: float | None = None
    mechanisms: int = 3

    title: ClassVar = "viscoelastic"
    options: ClassVar = ("f_ref", "mechanisms")
    parameters: ClassVar = Elastic.parameters | {
        "Qp": Parameter("quality factor of P waves", "1", least=5.0),
        "Qs": Parameter("quality factor of S waves", "1", least=5.0),
    }
    slow: ClassVar = Elastic.slow

    def __post_init__(self) -> None:
        Relaxation(self.f_ref, self.mechanisms)

    @cached_property
    def relaxation(self) -> Relaxation:
        """Its standard linear solids."""
        return Relaxation(self.f_ref, self.mechanisms)

    @property
    def _relaxed(self) -> tuple[str, str]:
        """The relaxed moduli of P and S waves."""
        P, S = (self.relaxation.softening(q) for q in ("Qp", "Qs"))
        return f"rho*vp**2/{P}", f"rho*vs**2/{S}"

    @cached_property
    def energy(self) -> str:
        """That of what a strain adds to the stress of its step."""
        P, S = self._relaxed
        return isotropic(f"{P}*{self.relaxation.rate('Qp')}", f"{S}*{self.relaxation.rate('Qs')}")

    @cached_property
    def relaxing(self) -> list[tuple[str, str, str]]:
        """What a memory is fed by, and how."""
        r, (P, S) = self.relaxation, self._relaxed
        strengths = zip(r.strengths("Qp"), r.strengths("Qs"), r.gains, r.fades, strict=True)
        return [(isotropic(f"{P}*{p}", f"{S}*{s}"), gain, fade) for p, s, gain, fade in strengths]

    @property
    def positive(self):
        """Those that relax; what is relaxed is an elastic solid's."""
        return tuple(energy for energy, _, _ in self.relaxing)

    @property
    def speed(self) -> str:
        """That of the highest frequencies."""
        return f"vp*sqrt({self.relaxation.stiffening('Qp')}/{self.relaxation.softening('Qp')})"

    def check(self, parameters):
        self.relaxation.check()
        Elastic().check(parameters)
        super().check(parameters)
