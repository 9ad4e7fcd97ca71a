r"""How the background wavefield of a derivative is kept: an object, chosen by whoever runs the derivative.

A *storage* is what the user chooses, in ``so.config(storage=...)``. A *history* is what it makes for one shot: a march
writes the background g into it, block by block of time steps, and other marches read it back, forwards or backwards.
Whatever a history gives back, J and J.H both use it: they are exact adjoints with every storage.

============== ========================================= ======================= ==========================
storage        holds                                     marches again           g that comes back
============== ========================================= ======================= ==========================
Memory         every step                                nothing                 the same
Disk           every step, in a file                     nothing                 the same
Checkpointed   some states of the march                  J: 1, J.H: 1 to 3.3     the same, bit for bit
Half           every step in 16 bits                     nothing                 rounded, 4e-3
Subsampled     steps as the highest frequency needs      nothing                 interpolated
Frequencies    some frequencies                          nothing                 those frequencies alone
Auto           Memory where it fits, else Checkpointed
============== ========================================= ======================= ==========================
"""

from seisops.storage.auto import Auto
from seisops.storage.base import History, Storage, Wave
from seisops.storage.checkpointed import Checkpointed
from seisops.storage.compressed import Frequencies, Half, Subsampled
from seisops.storage.exact import Disk, Memory

__all__ = ["Auto", "Checkpointed", "Disk", "Frequencies", "Half", "History", "Memory", "Storage", "Subsampled", "Wave"]
