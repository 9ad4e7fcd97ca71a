"""Attenuation by standard linear solids: what fits a quality factor, and how a memory of theirs goes on in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# The band of a quality factor about its frequency, and the quality factors that its formula is fitted to.
BAND = 5.0
QUALITIES = np.geomspace(8.0, 1000.0, 40)
DEGREE = 3


@dataclass(frozen=True)
class Relaxation:
    r"""One to three standard linear solids whose quality factor is constant about a frequency.

    .. math:: M(\omega) = M_R \Big(1 + \sum_l \tau_l \frac{i\omega\tau_{\sigma l}}{1 + i\omega\tau_{\sigma l}}\Big)

    The strengths τ are formulas of Q, so that a medium's coefficients and their derivatives are formulas too. Memories
    are carried by the trapezoidal rule, without the stress of their step.

    Parameters
    ----------
    f_ref : float, kHz, optional
        The frequency; nothing can be marched without.
    mechanisms : int
        How many, 1 to 3.

    References
    ----------
    H. Emmerich and M. Korn, 1987, Incorporation of attenuation into time-domain computations of seismic wave fields,
    Geophysics 52. J. Robertsson, J. Blanch and W. Symes, 1994, Viscoelastic finite-difference modeling, Geophysics 59.
    """

    f_ref: float | None
    mechanisms: int

    def __post_init__(self) -> None:
        if self.f_ref is not None and not self.f_ref > 0:
            raise ValueError(f"f_ref is a frequency in kHz, got {self.f_ref}.")
        if self.mechanisms not in (1, 2, 3):
            raise ValueError(f"Attenuation takes 1 to 3 mechanisms, got {self.mechanisms}.")

    def check(self) -> None:
        """Refuse to have no frequency."""
        if self.f_ref is None:
            raise TypeError("A quality factor is one at a frequency: give Model(..., f_ref=0.01), in kHz.")

    @cached_property
    def times(self) -> NDArray:
        """Relaxation times of the mechanisms, ms."""
        n = self.mechanisms
        reach = BAND ** np.linspace(-1, 1, n) if n > 1 else np.ones(1)
        return 1 / (2 * np.pi * (self.f_ref or 1.0) * reach)

    def _responses(self, f: NDArray) -> tuple[NDArray, NDArray]:
        """The real and imaginary part of every mechanism at frequencies."""
        x = 2 * np.pi * np.outer(f, self.times)
        return x**2 / (1 + x**2), x / (1 + x**2)

    @cached_property
    def _fits(self) -> list[NDArray]:
        """Of every mechanism the polynomial in 1/Q: of least squares over the band."""
        f = (self.f_ref or 1.0) * np.geomspace(1 / BAND, BAND, 50)
        a, b = self._responses(f)
        found = np.array([np.linalg.lstsq(b * q - a, np.ones(len(f)), rcond=None)[0] for q in QUALITIES])
        powers = 1 / QUALITIES[:, None] ** np.arange(1, DEGREE + 1)
        # Relative to 1/Q, so that weak attenuation is as right as strong.
        weights = QUALITIES[:, None]
        return [np.linalg.lstsq(powers * weights, t[:, None] * weights, rcond=None)[0][:, 0] for t in found.T]

    def strengths(self, q: str) -> list[str]:
        """τ of every mechanism, a formula of the quality factor `q`."""
        return ["(" + " + ".join(f"{c:.12g}/{q}**{k + 1}" for k, c in enumerate(fit)) + ")" for fit in self._fits]

    def softening(self, q: str) -> str:
        """The modulus at f_ref, by its phase velocity, over the relaxed one."""
        a, b = (x[0] for x in self._responses(np.array([self.f_ref or 1.0])))
        A, B = (
            "(" + " + ".join(f"{w:.12g}*{t}" for w, t in zip(x, self.strengths(q), strict=True)) + ")" for x in (a, b)
        )
        z2 = f"((1 + {A})**2 + {B}**2)"
        return f"(2*{z2}/(sqrt({z2}) + 1 + {A}))"

    def stiffening(self, q: str) -> str:
        """The unrelaxed modulus, of the highest frequencies, over the relaxed one."""
        return f"(1 + {' + '.join(self.strengths(q))})"

    # --- a step; x = h / 2τσ, in formulas of h

    @property
    def _halves(self) -> list[str]:
        return [f"(h/{2 * t:.12g})" for t in self.times]

    def rate(self, q: str) -> str:
        """What a strain adds to the stress of its step, over the relaxed modulus."""
        parts = (f"{t}*(1 - {x}/(1 + {x}))" for t, x in zip(self.strengths(q), self._halves, strict=True))
        return f"(1 + {' + '.join(parts)})"

    @property
    def gains(self) -> list[str]:
        """What a strain adds to every memory, over the relaxed modulus and its strength."""
        return [f"(-2*{x}/(1 + {x})**2)" for x in self._halves]

    @property
    def fades(self) -> list[str]:
        """What every memory loses in a step."""
        return [f"(-2*{x}/(1 + {x}))" for x in self._halves]
