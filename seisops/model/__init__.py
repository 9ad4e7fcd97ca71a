"""The earth on its grid."""

from seisops.model.model import Model

__all__ = ["Model"]
