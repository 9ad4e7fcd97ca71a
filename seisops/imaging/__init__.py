"""Imaging conditions and all else that is made of Jacobians and products of whole surveys."""

from seisops.imaging.grid_operators import Laplacian, Weighting
from seisops.imaging.inverse_scattering import complement, inverse_scattering, laplacian, subsurface_offsets

__all__ = ["Laplacian", "Weighting", "complement", "inverse_scattering", "laplacian", "subsurface_offsets"]
