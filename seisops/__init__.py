"""Seismic modelling and inversion as linear algebra."""

from seisops import algebra, checks, misfits, models, preconditioners, wavelets
from seisops import plotting as plot
from seisops.algebra import compose, no_fusion
from seisops.execution import config
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.objectives import estimate_wavelet, fwi, hessian, lsrtm, random_batches
from seisops.operators import LRWF, Jacobian, Modeling, Projection, Propagation, Scattering, VirtualSource
from seisops.wavelets import ricker

__version__ = "0.1.0"

__all__ = [
    "LRWF",
    "Geometry",
    "Jacobian",
    "Model",
    "Modeling",
    "Projection",
    "Propagation",
    "Scattering",
    "VirtualSource",
    "algebra",
    "checks",
    "compose",
    "config",
    "estimate_wavelet",
    "fwi",
    "hessian",
    "lsrtm",
    "misfits",
    "models",
    "no_fusion",
    "plot",
    "preconditioners",
    "random_batches",
    "ricker",
    "wavelets",
]
