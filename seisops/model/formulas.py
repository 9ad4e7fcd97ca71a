"""The coefficients of a model, as functions of its parameters and their values on the padded grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from seisops.physics import Medium, surface
from seisops.physics.coefficients import Coefficient, Function, function, moved
from seisops.physics.layer import profile
from seisops.physics.scheme import Scheme


def functions(model, wrt: Collection[str], named: Mapping[str, Coefficient]) -> dict[str, Function]:
    """Coefficients as functions of the quantities of `wrt`, other parameters, and a surface where there is one."""
    words = model.medium.meanings(tuple(wrt)) + (() if model.ends else surface.NONE)
    return {name: function(formula, words, model.medium.names, model.ndim) for name, formula in named.items()}


def named(scheme: Scheme, medium: Medium) -> dict[str, Coefficient]:
    """The formulas of the coefficients in a scheme, but for the profiles of its layer and its surface."""
    return {name: medium.coefficients[name] for name in scheme.coefficients if profile(name) is None}


def coefficients(model) -> dict[str, NDArray]:
    """All coefficients on the padded grid, of an inertia M dt²/M."""
    values = {}
    for name, f in model.functions.items():
        value = f.at(model.dt, [moved(model.padded(quantity), node) for quantity, node in f.variables])[None]
        values[name] = value if value.shape == model.padded_shape else np.broadcast_to(value, model.padded_shape)
    for inertia in {f.inertia for f in model.scheme.fields if f.inertia}:
        values[inertia] = model.dt**2 / values[inertia]
    return values
