"""Seismic modelling and inversion as linear algebra."""

from seisops import (
    algebra,
    checks,
    conditions,
    gridwise,
    imaging,
    misfits,
    models,
    preconditioners,
    segy,
    storage,
    wavelets,
)
from seisops import plotting as plot
from seisops.algebra import compose, no_fusion
from seisops.batches import random_batches
from seisops.encoding import Encoding, reciprocal
from seisops.estimation import estimate_wavelet
from seisops.execution import config
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.objectives import fwi, hessian, lsrtm
from seisops.operators import LRWF, Jacobian, Modeling, Projection, Propagation, Scattering, VirtualSource
from seisops.wavelets import resample, ricker
from seisops.windows import aperture

__version__ = "0.1.0"

__all__ = [
    "LRWF",
    "Encoding",
    "Geometry",
    "Jacobian",
    "Model",
    "Modeling",
    "Projection",
    "Propagation",
    "Scattering",
    "VirtualSource",
    "algebra",
    "aperture",
    "checks",
    "compose",
    "conditions",
    "config",
    "estimate_wavelet",
    "fwi",
    "gridwise",
    "hessian",
    "imaging",
    "lsrtm",
    "misfits",
    "models",
    "no_fusion",
    "plot",
    "preconditioners",
    "random_batches",
    "reciprocal",
    "resample",
    "ricker",
    "segy",
    "storage",
    "wavelets",
]
