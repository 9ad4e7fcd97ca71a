"""Any operator as a Keras layer: exact gradients in the input and the model, on TensorFlow, PyTorch or JAX."""

from seisops_keras.check import check
from seisops_keras.earth import EarthModel
from seisops_keras.layer import Layer, apply
from seisops_keras.velocity import VelocityModel

__all__ = ["EarthModel", "Layer", "VelocityModel", "apply", "check"]
