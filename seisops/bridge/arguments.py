"""What a layer asks of its arguments before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pylops import LinearOperator

from seisops.bridge.parameters import leading


def check_input(op: LinearOperator, shape: Sequence[int], dims: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The batch axes in front of an input; `dims` are the operator's, where a compiler can read only copies of them.

    Raises
    ------
    ValueError
        Naming what was expected.
    """
    return leading(op, "The input", shape, tuple(op.dims) if dims is None else dims)


def check_kind(op: LinearOperator, complex_input: bool, floating: bool) -> None:
    """Refuse integers, and complex input where that would be cut to its real part.

    Raises
    ------
    TypeError
        Naming what was expected.
    """
    if not floating:
        raise TypeError(f"{op!r} takes floating-point numbers: cast the input to float32 or float64.")
    if complex_input and not np.issubdtype(op.dtype, np.complexfloating):
        raise TypeError(f"{op!r} is real: apply it to the real and the imaginary part of a complex input.")


def check_parameter(name: str, real: bool, got: object) -> None:
    """Refuse a parameter of the medium that is no real floating-point number.

    Raises
    ------
    TypeError
    """
    if not real:
        raise TypeError(f"The model {name} is real, of float32 or float64; got {got}.")
