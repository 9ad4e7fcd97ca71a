"""The wave equations: what each is, written once, and nothing of how it is computed."""

from collections.abc import Collection

from seisops.physics.acoustic import Acoustic
from seisops.physics.medium import Medium, Parameter, Spelling

__all__ = ["MEDIA", "Acoustic", "Medium", "Parameter", "Spelling", "medium_of"]

# Those that Model finds by the names of their parameters.
MEDIA = (Acoustic(),)


def medium_of(names: Collection[str]) -> Medium:
    """The medium that is described by parameters of these names.

    Raises
    ------
    TypeError
        For names that no medium has.
    ValueError
        For a set that describes none, naming those that do.
    """
    unknown = set(names).difference(*({*m.parameters, *m.spellings} for m in MEDIA))
    if unknown:
        raise TypeError(f"Model takes no {', '.join(sorted(unknown))}: that is no option and no parameter of a medium.")
    for medium in MEDIA:
        found = [medium.spellings[n].of if n in medium.spellings else n for n in names]
        if sorted(found) == sorted(medium.parameters):
            return medium
    sets = "; ".join(f"{type(m).__name__}: {m.words}" for m in MEDIA)
    given = " and ".join(sorted(names)) or "no parameter at all"
    raise ValueError(f"No medium is described by {given}. Give every parameter of one medium in one way: {sets}.")
