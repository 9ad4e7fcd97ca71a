"""What a backend gives, for Keras on PyTorch."""

from __future__ import annotations

from dataclasses import replace

from seisops_torch import apply
from seisops_torch.check import FRAMEWORK, TRANSFORMS
from torch import zeros_like

from seisops_keras.functional import forward_mode, layer_jvp, own_cells

__all__ = ["FRAMEWORKS", "apply", "jvp", "own_cells"]

jvp = forward_mode(apply, TRANSFORMS.jvp, zeros_like)
FRAMEWORKS = {"": replace(FRAMEWORK, jvp=layer_jvp)}
