"""The wave equations: what each is, written once, and nothing of how it is computed."""

from collections.abc import Mapping
from typing import Any

from seisops.physics.acoustic import Acoustic
from seisops.physics.coefficients import Mean
from seisops.physics.elastic import Elastic
from seisops.physics.elastic_vti import ElasticVTI
from seisops.physics.medium import Medium, Parameter, Spelling
from seisops.physics.solid import Solid
from seisops.physics.tti import TTI
from seisops.physics.variable_density import VariableDensity
from seisops.physics.viscoacoustic import Viscoacoustic
from seisops.physics.viscoelastic import Viscoelastic
from seisops.physics.vti import VTI

__all__ = [
    "MEDIA",
    "TTI",
    "VTI",
    "Acoustic",
    "Elastic",
    "ElasticVTI",
    "Mean",
    "Medium",
    "Parameter",
    "Solid",
    "Spelling",
    "VariableDensity",
    "Viscoacoustic",
    "Viscoelastic",
    "medium_of",
]

# Those that Model finds by the names of their parameters; the first that fits.
MEDIA: tuple[type[Medium], ...] = (
    Acoustic,
    VariableDensity,
    VTI,
    TTI,
    Viscoacoustic,
    Elastic,
    ElasticVTI,
    Viscoelastic,
)


def medium_of(given: Mapping[str, Any]) -> tuple[Medium, dict[str, Any]]:
    """The medium that is described by parameters of these names, and what is given of its parameters.

    Raises
    ------
    TypeError
        For names that no medium has.
    ValueError
        For a set that describes none, naming those that do.
    """
    unknown = set(given).difference(*({*m.parameters, *m.spellings, *m.options} for m in MEDIA))
    if unknown:
        raise TypeError(f"Model takes no {', '.join(sorted(unknown))}: that is no option and no parameter of a medium.")
    for medium in MEDIA:
        fields = {n: x for n, x in given.items() if n not in medium.options}
        found = sorted(medium.spellings[n].of if n in medium.spellings else n for n in fields)
        optional = {n for n, p in medium.parameters.items() if p.default is not None}
        if set(medium.parameters) - optional <= set(found) <= set(medium.parameters) and len(set(found)) == len(found):
            return medium(**{n: given[n] for n in given if n in medium.options}), fields
    sets = "; ".join(f"{m.__name__}: {m().words}" for m in MEDIA)
    names = " and ".join(sorted(given)) or "no parameter at all"
    raise ValueError(f"No medium is described by {names}. Give every parameter of one medium in one way: {sets}.")
