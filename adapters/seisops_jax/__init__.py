"""Any operator as a function of JAX's: exact derivatives in the input and the model, under every transformation."""

from seisops_jax.check import check
from seisops_jax.layer import Layer, apply

__all__ = ["Layer", "apply", "check"]
