"""Seismic modelling and inversion as linear algebra."""

from seisops import _pylops as _pylops
from seisops import algebra, checks, imaging, models, physics, plot, segy, storage, wavelets
from seisops.algebra import Jacobian, compose, no_fusion
from seisops.execution.config import config
from seisops.files import load, save
from seisops.geometry import Geometry
from seisops.imaging.aperture import aperture
from seisops.imaging.encoding import Encoding, reciprocal
from seisops.imaging.snapshots import illumination, snapshots
from seisops.inversion import misfits, preconditioners
from seisops.inversion.batches import random_batches
from seisops.inversion.objectives import fwi, hessian, lsrtm
from seisops.inversion.parametrisation import Parametrisation, parametrisation
from seisops.inversion.wavelet import estimate_wavelet
from seisops.model import Model
from seisops.operators import conditions
from seisops.operators.components import Strain
from seisops.operators.lrwf import LRWF
from seisops.operators.modeling import Modeling
from seisops.operators.projection import Projection
from seisops.operators.propagation import Propagation
from seisops.operators.scattering import Scattering, VirtualSource
from seisops.operators.survey import modeling
from seisops.records import Records
from seisops.wavelets import resample, ricker, wavelet

__version__ = "0.1.0"

__all__ = [
    "LRWF",
    "Encoding",
    "Geometry",
    "Jacobian",
    "Model",
    "Modeling",
    "Parametrisation",
    "Projection",
    "Propagation",
    "Records",
    "Scattering",
    "Strain",
    "VirtualSource",
    "algebra",
    "aperture",
    "checks",
    "compose",
    "conditions",
    "config",
    "estimate_wavelet",
    "fwi",
    "hessian",
    "illumination",
    "imaging",
    "load",
    "lsrtm",
    "misfits",
    "modeling",
    "models",
    "no_fusion",
    "parametrisation",
    "physics",
    "plot",
    "preconditioners",
    "random_batches",
    "reciprocal",
    "resample",
    "ricker",
    "save",
    "segy",
    "snapshots",
    "storage",
    "wavelet",
    "wavelets",
]


def __dir__() -> list[str]:
    """Show what users need, and not the rooms it comes from."""
    return [*__all__, "__version__"]
