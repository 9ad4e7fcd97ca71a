"""Any operator as a PyTorch module: exact derivatives in the input and the model."""

from seisops_torch.check import check
from seisops_torch.earth import EarthModel
from seisops_torch.layer import Layer, apply
from seisops_torch.velocity import VelocityModel

__all__ = ["EarthModel", "Layer", "VelocityModel", "apply", "check"]
