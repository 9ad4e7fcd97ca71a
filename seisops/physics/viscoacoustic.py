"""Sound that is attenuated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from seisops.physics.flow import BUOYANCIES, flow
from seisops.physics.medium import Medium, Parameter, Spelling, staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.relaxation import Relaxation
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Field, Times


@dataclass(frozen=True)
class Viscoacoustic(Medium):
    r"""Sound of squared slowness m at a frequency, density ρ and quality factor Q, by standard linear solids.

    .. math:: \frac{m_R}{\rho}\,\ddot u = \Big(1 + \sum_l \tau_l\Big)\,e + \sum_l r_l,\qquad
              \tau_{\sigma l}\,\dot r_l = -(r_l + \tau_l\,e),\qquad e = \nabla\cdot\frac{1}{\rho}\nabla u + s

    with the relaxed m_R for which waves of the frequency `f_ref` travel with m. Q is constant within a few per cent
    from f_ref / 5 to 5 f_ref.

    Parameters
    ----------
    f_ref : float, kHz
    mechanisms : int
        How many, 1 to 3.

    References
    ----------
    H. Emmerich and M. Korn, 1987, Incorporation of attenuation into time-domain computations of seismic wave fields,
    Geophysics 52. J. Robertsson, J. Blanch and W. Symes, 1994, Viscoelastic finite-difference modeling, Geophysics 59.
    """

    f_ref: float | None = None
    mechanisms: int = 3

    title: ClassVar = "attenuating sound"
    options: ClassVar = ("f_ref", "mechanisms")
    parameters: ClassVar = {
        "m": Parameter("squared slowness at f_ref", "s²/km²"),
        "Q": Parameter("quality factor", "1", least=5.0),
        "rho": Parameter("density", "g/cm³", default=1.0),
    }
    between: ClassVar = "rho"
    spellings: ClassVar = {"v": Spelling("m", "velocity at f_ref", "km/s", "1/v**2", "1/sqrt(m)", known=True)}
    filters: ClassVar = {axis: ((), ("integral", "half")) for axis in "xyz"}

    def __post_init__(self) -> None:
        Relaxation(self.f_ref, self.mechanisms)

    @cached_property
    def relaxation(self) -> Relaxation:
        """Its standard linear solids."""
        return Relaxation(self.f_ref, self.mechanisms)

    @cached_property
    def coefficients(self) -> dict:
        """Those of the trapezoidal rule, whose memories are carried without the stress of their step."""
        r = self.relaxation
        found = {"inertia": f"m*{r.softening('Q')}/rho", "rate": r.rate("Q")}
        for i, (fade, gain, t) in enumerate(zip(r.fades, r.gains, r.strengths("Q"), strict=True)):
            found |= {f"fade{i}": fade, f"gain{i}": f"{gain}*{t}"}
        return found | BUOYANCIES

    @property
    def speed(self) -> str:
        """That of the highest frequencies."""
        return f"sqrt({self.relaxation.stiffening('Q')}/(m*{self.relaxation.softening('Q')}))"

    def scheme(self, ndim):
        here = (0,) * ndim
        u, e = Field("u", here, inertia="inertia", parity=-1), Field("e", here, parity=-1)
        fields, stages, ports, gathered = flow([u] * ndim)
        memories = [Field(f"lag{i}", here) for i in range(self.mechanisms)]
        before = [Field(f"old{i}", here) for i in range(self.mechanisms)]
        stages += [assigned(old, lag.value) for old, lag in zip(before, memories, strict=True)]
        stages.append(assigned(e, sum(gathered)))
        stages.append(added(u, Times("rate")(e.value) + sum(old.value for old in before)))
        for i, (old, lag) in enumerate(zip(before, memories, strict=True)):
            stages.append(added(lag, Times(f"gain{i}")(e.value) + Times(f"fade{i}")(old.value)))
        ends = [Source("p", "e"), Receiver("p", "u"), *ports]
        return ported([u, e, *fields, *before, *memories], stages, ends, closed=[old.name for old in before])

    def check(self, parameters):
        self.relaxation.check()

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)
