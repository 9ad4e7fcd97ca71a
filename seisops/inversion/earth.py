"""What a trainable earth trains, in whatever framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seisops.inversion.bounds import Bounds, check_bounds
from seisops.inversion.parametrisation import Parametrisation, parametrisation
from seisops.model import Model


def trained(
    model: Model | Parametrisation, names: str | Sequence[str], bounds: Mapping[str, Bounds] | None
) -> tuple[Parametrisation, dict[str, Bounds]]:
    """The unknowns of an earth, and the bounds that its parameters are put back between.

    Raises
    ------
    TypeError
        For names or bounds beside a parametrisation, which says its own.
    ValueError
        For a name the medium does not have, bounds that exclude where to start, or let waves be faster than the time
        step of the model carries.
    """
    names, bounds = (names,) if isinstance(names, str) else tuple(names), dict(bounds or {})
    given = isinstance(model, Parametrisation)
    if given == bool(names) or (given and bounds):
        raise TypeError("An EarthModel is of a model and names of its parameters, or of so.parametrisation(...).")
    unknown = set(bounds) - set(names)
    if unknown:
        raise ValueError(f"Bounds of {', '.join(sorted(unknown))}, which is not trained: {', '.join(names)} are.")
    P = model if given else parametrisation(model, *names)
    check_bounds(P.model, bounds)
    return P, bounds
