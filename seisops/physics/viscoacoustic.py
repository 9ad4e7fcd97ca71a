"""Sound that is attenuated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from seisops.physics.coefficients import Mean
from seisops.physics.medium import Medium, Parameter, Spelling, staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Difference, Field, Times
from seisops.physics.variable_density import AXES

# The band of a quality factor about its frequency, and the quality factors that its formula is fitted to.
BAND = 5.0
QUALITIES = np.geomspace(8.0, 1000.0, 40)
DEGREE = 3


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
    spellings: ClassVar = {"v": Spelling("m", "velocity at f_ref", "km/s", "1/v**2", "1/sqrt(m)", known=True)}
    filters: ClassVar = {axis: ((), ("integral", "half")) for axis in "xyz"}

    def __post_init__(self) -> None:
        if self.f_ref is not None and not self.f_ref > 0:
            raise ValueError(f"f_ref is a frequency in kHz, got {self.f_ref}.")
        if self.mechanisms not in (1, 2, 3):
            raise ValueError(f"Attenuation takes 1 to 3 mechanisms, got {self.mechanisms}.")

    @cached_property
    def times(self) -> np.ndarray:
        """Relaxation times of the mechanisms, ms."""
        n = self.mechanisms
        reach = BAND ** np.linspace(-1, 1, n) if n > 1 else np.ones(1)
        return 1 / (2 * np.pi * (self.f_ref or 1.0) * reach)

    def _responses(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The real and imaginary part of every mechanism at frequencies."""
        x = 2 * np.pi * np.outer(f, self.times)
        return x**2 / (1 + x**2), x / (1 + x**2)

    @cached_property
    def strengths(self) -> list[str]:
        """τ of every mechanism as a formula of Q: of least squares over the band, a polynomial in 1/Q."""
        f = (self.f_ref or 1.0) * np.geomspace(1 / BAND, BAND, 50)
        a, b = self._responses(f)
        found = np.array([np.linalg.lstsq(b * q - a, np.ones(len(f)), rcond=None)[0] for q in QUALITIES])
        powers = 1 / QUALITIES[:, None] ** np.arange(1, DEGREE + 1)
        # Relative to 1/Q, so that weak attenuation is as right as strong.
        weights = QUALITIES[:, None]
        fits = [np.linalg.lstsq(powers * weights, t[:, None] * weights, rcond=None)[0][:, 0] for t in found.T]
        return ["(" + " + ".join(f"{c:.12g}/Q**{k + 1}" for k, c in enumerate(fit)) + ")" for fit in fits]

    @property
    def _relaxed(self) -> str:
        """m_R, by which the phase velocity at f_ref is 1/sqrt(m)."""
        a, b = (x[0] for x in self._responses(np.array([self.f_ref or 1.0])))
        A, B = ("(" + " + ".join(f"{w:.12g}*{t}" for w, t in zip(x, self.strengths, strict=True)) + ")" for x in (a, b))
        z2 = f"((1 + {A})**2 + {B}**2)"
        return f"(m*2*{z2}/(sqrt({z2}) + 1 + {A}))"

    @cached_property
    def coefficients(self) -> dict:
        """Those of the trapezoidal rule, whose memories are carried without the stress of their step."""
        half = [f"(h/{2 * t:.12g})" for t in self.times]
        inner = [f"({x}/(1 + {x}))" for x in half]
        rate = " + ".join(f"{t}*(1 - {c})" for t, c in zip(self.strengths, inner, strict=True))
        found = {"inertia": f"{self._relaxed}/rho", "rate": f"1 + {rate}"}
        for i, (x, c, t) in enumerate(zip(half, inner, self.strengths, strict=True)):
            found |= {f"fade{i}": f"-2*{x}/(1 + {x})", f"gain{i}": f"-2/(1 + {x})*{c}*{t}"}
        return found | {f"b{a}": Mean("1/x", "rho", (a,)) for a in range(3)}

    @property
    def speed(self) -> str:
        """That of the highest frequencies."""
        return f"sqrt((1 + {' + '.join(self.strengths)})/{self._relaxed})"

    def scheme(self, ndim):
        here, axes = (0,) * ndim, AXES[ndim]
        u, e = Field("u", here, inertia="inertia", parity=-1), Field("e", here, parity=-1)
        fields, stages, ports, flow = [u, e], [], [Source("p", "e"), Receiver("p", "u")], []
        for a, axis in enumerate(axes):
            place = tuple(int(a == k) for k in range(ndim))
            push, w = (Field(f"{letter}{axis}", place, parity=int(a == ndim - 1)) for letter in "fw")
            stages += [
                assigned(push, -Difference(a, shift=1)(u.value)),
                assigned(w, Times(f"b{a}")(push.value)),
            ]
            ports += [Source(axis, push.name), Receiver(axis, w.name)]
            fields += [push, w]
            flow.append(-Difference(a, shift=-1)(w.value))
        memories = [Field(f"lag{i}", here) for i in range(self.mechanisms)]
        before = [Field(f"old{i}", here) for i in range(self.mechanisms)]
        stages += [assigned(old, lag.value) for old, lag in zip(before, memories, strict=True)]
        stages.append(assigned(e, sum(flow)))
        stages.append(added(u, Times("rate")(e.value) + sum(old.value for old in before)))
        for i, (old, lag) in enumerate(zip(before, memories, strict=True)):
            stages.append(added(lag, Times(f"gain{i}")(e.value) + Times(f"fade{i}")(old.value)))
        return ported([*fields, *before, *memories], stages, ports, closed=[old.name for old in before])

    def check(self, parameters):
        if self.f_ref is None:
            raise TypeError("A quality factor is one at a frequency: give Model(..., Q=Q, f_ref=0.01), in kHz.")

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)
