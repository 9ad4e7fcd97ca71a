"""The parameters of any medium as a trainable layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from numpy.typing import ArrayLike, NDArray

from seisops import Model, Parametrisation
from seisops.inversion.earth import trained
from seisops_keras import spec
from seisops_keras.velocity import Between


@keras.saving.register_keras_serializable(package="seisops")
class EarthModel(keras.layers.Layer):
    """Parameters of a medium as weights: ``layer(x, **earth())``.

    Parameters
    ----------
    model : Model, or Parametrisation
        Where to start. With that of :func:`seisops.parametrisation` its unknowns are trained, and it says what is fixed
        and between which bounds a smooth map keeps them.
    names : str or sequence of str
        Which parameters of a Model are trained, by any name that ``model.at`` takes; the others stay the model's.
    bounds : dict of str to (low, high), optional
        Numbers or arrays; a parameter is put back between them after every step of an optimizer.
    **kwargs
        Of ``keras.layers.Layer``.

    Attributes
    ----------
    values : dict of str to weight of ``model.shape``
        One for every name, or every unknown, in the model's precision under every dtype policy.

    Raises
    ------
    ValueError
        For a name the medium does not have, bounds that exclude where to start, or let waves be faster than the time
        step of the model carries.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(vp=np.full((21, 11), 2.0), vs=np.full((21, 11), 1.0), rho=np.full((21, 11), 2.0), spacing=10)
    >>> earth = EarthModel(model, ("vp", "vs"), bounds={"vs": (0.5, 1.2)})
    >>> {name: tuple(x.shape) for name, x in earth().items()}
    {'vp': (21, 11), 'vs': (21, 11)}
    """

    def __init__(
        self,
        model: Model | Parametrisation,
        names: str | Sequence[str] = (),
        bounds: Mapping[str, tuple] | None = None,
        **kwargs,
    ) -> None:
        P, bounds = trained(model, names, bounds)
        grid = P.model
        super().__init__(dtype=kwargs.pop("dtype", None) or grid.dtype.name, autocast=False, **kwargs)
        self.P, self.model, self.names, self.bounds = P, model, names, bounds
        self.constants = {name: _as(grid, x) for name, x in P.constants.items()}
        self.values = {
            name: self.add_weight(
                shape=grid.shape,
                dtype=grid.dtype.name,
                initializer=lambda shape, dtype, x=x: keras.ops.convert_to_tensor(x, dtype),
                constraint=Between(*bounds[name]) if name in bounds else None,
                autocast=False,
                name=name,
            )
            for name, x in zip(P.unknowns, P.parts(P.start), strict=True)
        }
        self.built = True

    def call(self, x=None) -> dict:
        """The parameters by name. `x` is not used; in a functional model it is what the layer hangs on."""
        tensor = keras.ops.convert_to_tensor
        constants = {name: tensor(x) for name, x in self.constants.items()}
        return self.P.forward([tensor(self.values[name]) for name in self.P.unknowns], constants, keras.ops)

    def compute_output_spec(self, x=None) -> dict[str, keras.KerasTensor]:
        """Shapes and dtypes of the parameters."""
        grid = self.P.model
        return {name: keras.KerasTensor(grid.shape, dtype=grid.dtype.name) for name in self.P.names}

    def get_config(self) -> dict:
        """The parts of the model or the parametrisation, names, bounds and the arguments of ``keras.layers.Layer``."""
        bounds = {name: Between(*pair).get_config() for name, pair in self.bounds.items()}
        return {**super().get_config(), "model": spec.encode(self.model), "names": self.names, "bounds": bounds}

    @classmethod
    def from_config(cls, config: dict) -> EarthModel:
        """The inverse of :meth:`get_config`."""
        bounds = {name: (pair["low"], pair["high"]) for name, pair in config["bounds"].items()}
        return super().from_config({**config, "model": spec.decode(config["model"]), "bounds": bounds})


def _as(grid: Model, x: ArrayLike) -> NDArray:
    return x if x.dtype == bool else x.astype(grid.dtype)
