"""What a backend gives, for Keras on JAX."""

from __future__ import annotations

from dataclasses import replace

from keras.ops import zeros_like
from seisops_jax import apply
from seisops_jax.check import FRAMEWORKS as OF_JAX
from seisops_jax.check import TRANSFORMS

from seisops_keras.functional import forward_mode, layer_jvp, own_cells

__all__ = ["FRAMEWORKS", "apply", "jvp", "own_cells"]

jvp = forward_mode(apply, TRANSFORMS.jvp, zeros_like)
FRAMEWORKS = {mode: replace(framework, jvp=layer_jvp) for mode, framework in OF_JAX.items()}
