"""Bounds of parameters, checked against the model that starts between them and the time step it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from seisops.arrays import real
from seisops.model import Model

Bounds = tuple[ArrayLike, ArrayLike]


def check_bounds(model: Model, bounds: dict[str, Bounds]) -> None:
    """Refuse bounds of parameters that exclude the model's own, or let waves be too fast for its time step.

    Raises
    ------
    ValueError
    """
    for name, pair in bounds.items():
        low, high = (real(b, f"A bound of {name}") for b in pair)
        x = model.quantity(name)
        # The model is as precise as its type.
        slack = 4 * np.finfo(model.dtype).eps * np.abs(x)
        outside = (x < low - slack) | (x > high + slack)
        if outside.any():
            raise ValueError(
                f"The bounds of {name} exclude where it starts, {x.min():.4g} to {x.max():.4g}: {int(outside.sum())} "
                f"of {x.size} nodes are not from {words_of(pair)}."
            )
    words = "; ".join(f"{name} from {words_of(pair)}" for name, pair in bounds.items())
    # The fastest velocity is the largest at one of the ends of every parameter.
    ends = [{}]
    for name, pair in bounds.items():
        ends = [end | {name: np.broadcast_to(b, model.shape)} for end in ends for b in pair if np.isfinite(b).all()]
    for end in ends:
        parameters = dict(model.parameters) | model.medium.canonical(end, model.parameters)
        check_speed(model, model.medium.grid_speed(parameters), words)


def check_speed(model: Model, fastest: float, words: str) -> None:
    """Refuse bounds that let waves go faster than the time step of the model carries.

    Raises
    ------
    ValueError
    """
    limit = model.speed_limit
    if fastest > limit * (1 + 1e-5):
        beside = " at nodes beside lighter ones" if model.medium.between else ""
        raise ValueError(
            f"Bounds with {words} let waves reach {fastest:.4g} km/s{beside}, above {limit:.4g} km/s, the stability "
            f"limit of the time step {model.dt:.4g} ms. Lower them, or make the model with "
            f"Model(..., vmax={fastest:.4g})."
        )


def words_of(pair: Bounds) -> str:
    """A pair of bounds, for messages."""
    low, high = (np.asarray(b) for b in pair)
    return f"{low.min():.5g} to {high.max():.5g}"
