"""PyLops, imported before anything of this package imports it.

It looks for Devito's examples, and those set the font and the figures of Matplotlib to sizes of their own.
"""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module

try:
    from matplotlib import rc_context
except ImportError:
    rc_context = nullcontext

with rc_context():
    import_module("pylops")
