"""Shots dealt out at random."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray


def random_batches(nsrc: int, size: int, *, seed: int | np.random.Generator | None = None) -> list[NDArray]:
    r"""Batches of shots that together hold every shot once, in random order.

    The sum over a batch, times nsrc / len(batch), is an unbiased estimate of the sum over all shots.

    Parameters
    ----------
    nsrc : int
        Number of shots.
    size : int
        Shots of a batch; fewer where nsrc is no multiple of it.
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    list of int arrays
        For ``shots=`` of :func:`fwi`, or ``F[batch]``.

    Raises
    ------
    ValueError
        If a batch would hold no shot, or more than there are.

    Examples
    --------
    >>> import seisops as so
    >>> [len(batch) for batch in so.random_batches(16, 4, seed=0)]
    [4, 4, 4, 4]
    """
    if not 1 <= size <= nsrc:
        raise ValueError(f"A batch holds 1 to {nsrc} of {nsrc} shots, not {size}.")
    order = np.random.default_rng(seed).permutation(nsrc)
    return [np.sort(batch) for batch in np.array_split(order, ceil(nsrc / size))]
