r"""How a wavefield meets the outside: each coupling is a source term and, transposed, a measurement.

==================== =============================== ======================================
coupling             source term s_n                  measurement
==================== =============================== ======================================
Points               R^T f_n                          f_n = R u_n
LowRank              w(x) q_n                         w = sum_n q_n u_n
Wavefield            f_n                              f_n = u_n
Scattering           sum_c f dc(x) g_n                dc = sum_n f g_n u_n
Offsets              -sum_k dm_k(x) g_n(x - 2k)       dm_k = -sum_n g_n(x - 2k) u_n
Background           (measures only)                  g_n = u_n, or (u_{n+1} - 2 u_n + u_{n-1}) / h^2
Narrow               of another, its g_n in 16 bits   of another, its g_n in 16 bits
==================== =============================== ======================================

A coupling is only structure: what a kernel is compiled from. Its ``fields`` are the Devito functions
it needs, named after `tag`; `payload` names the one that carries the values in or out. Of several wavefields each has a
place of its own in a payload, next to the time.
"""

from seisops.propagators.couplings.background import Background
from seisops.propagators.couplings.base import Coupling
from seisops.propagators.couplings.low_rank import LowRank
from seisops.propagators.couplings.narrow import Narrow
from seisops.propagators.couplings.offsets import Offsets
from seisops.propagators.couplings.points import Points
from seisops.propagators.couplings.scattering import Scattering
from seisops.propagators.couplings.wavefield import Wavefield

__all__ = ["Background", "Coupling", "LowRank", "Narrow", "Offsets", "Points", "Scattering", "Wavefield"]
