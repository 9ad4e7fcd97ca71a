"""The wave equations: what each is, written once, and nothing of how it is computed."""

from seisops.physics.acoustic import Acoustic
from seisops.physics.medium import Medium

__all__ = ["Acoustic", "Medium"]
