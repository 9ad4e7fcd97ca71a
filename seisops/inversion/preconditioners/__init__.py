r"""Preconditioners of models and of records: functions that return PyLops operators.

They compose as all operators do, ``P2 @ P1`` applying P1 first, and stand on either side of a product:

.. math:: \min_p \tfrac12 \|P\,(J\,M\,p - d)\|^2, \qquad dm = M\,p

with P on the records, ``P @ J``, and M on the model, ``J @ M``. Those on records select shots as the records do.
"""

from seisops.inversion.preconditioners.data_space import (
    band_pass,
    gain,
    time_derivative,
    time_taper,
)
from seisops.inversion.preconditioners.model_space import depth_scaling, illumination, smoothing, taper, top_mute
from seisops.inversion.preconditioners.mutes import reflection_mute, turning_mute
from seisops.inversion.preconditioners.shotwise import ShotWise

__all__ = [
    "ShotWise",
    "band_pass",
    "depth_scaling",
    "gain",
    "illumination",
    "reflection_mute",
    "smoothing",
    "taper",
    "time_derivative",
    "time_taper",
    "top_mute",
    "turning_mute",
]
