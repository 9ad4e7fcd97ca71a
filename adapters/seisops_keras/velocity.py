"""The earth as a trainable layer."""

from __future__ import annotations

import keras
import numpy as np

from seisops import Model
from seisops.inversion.bounds import check_bounds
from seisops_keras import spec


@keras.saving.register_keras_serializable(package="seisops")
class VelocityModel(keras.layers.Layer):
    """Velocity as a weight; calling the layer gives the squared slowness for a :class:`Layer`.

    Parameters
    ----------
    model : Model
        Where to start.
    bounds : (float, float) or pair of arrays, km/s, optional
        The velocity is put back between them after every step of an optimizer.
    **kwargs
        Of ``keras.layers.Layer``.

    Attributes
    ----------
    v : weight of ``model.shape``, km/s
        In the model's precision under every dtype policy.

    Raises
    ------
    ValueError
        For bounds that exclude where to start, or go beyond the velocity that the model's time step carries.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> earth = VelocityModel(so.Model(v=np.full((21, 11), 2.0), spacing=10, vmax=4.5), bounds=(1.5, 4.5))
    >>> tuple(earth().shape)
    (21, 11)
    """

    def __init__(self, model: Model, bounds: tuple | None = None, **kwargs) -> None:
        super().__init__(dtype=kwargs.pop("dtype", None) or model.dtype.name, autocast=False, **kwargs)
        check_bounds(model, {} if bounds is None else {"v": bounds})
        self.model, self.bounds = model, bounds
        v = model.v
        self.v = self.add_weight(
            shape=model.shape,
            dtype=model.dtype.name,
            initializer=lambda shape, dtype: keras.ops.convert_to_tensor(v, dtype),
            constraint=None if bounds is None else Between(*bounds),
            autocast=False,
            name="v",
        )
        self.built = True

    def call(self, x=None):
        """The squared slowness 1/v², s²/km². `x` is not used; in a functional model it is what the layer hangs on."""
        return 1 / self.v**2

    def compute_output_spec(self, x=None) -> keras.KerasTensor:
        """Shape and dtype of the squared slowness."""
        return keras.KerasTensor(self.model.shape, dtype=self.model.dtype.name)

    def get_config(self) -> dict:
        """The model's parts, the bounds and the arguments of ``keras.layers.Layer``."""
        bounds = None if self.bounds is None else Between(*self.bounds).get_config()
        return {**super().get_config(), "model": spec.encode(self.model), "bounds": bounds}

    @classmethod
    def from_config(cls, config: dict) -> VelocityModel:
        """The inverse of :meth:`get_config`."""
        bounds = config["bounds"] and (config["bounds"]["low"], config["bounds"]["high"])
        return super().from_config({**config, "model": spec.decode(config["model"]), "bounds": bounds})


@keras.saving.register_keras_serializable(package="seisops")
class Between(keras.constraints.Constraint):
    """Weights between two bounds.

    Parameters
    ----------
    low, high : float or array

    Examples
    --------
    >>> Between(1.5, 4.5)(keras.ops.array([1.0, 2.0, 5.0])).numpy().tolist()
    [1.5, 2.0, 4.5]
    """

    def __init__(self, low, high) -> None:
        self.low, self.high = low, high

    def __call__(self, w):
        """`w` put back between the bounds."""
        return keras.ops.clip(w, keras.ops.cast(self.low, w.dtype), keras.ops.cast(self.high, w.dtype))

    def get_config(self) -> dict:
        """The bounds as lists."""
        return {"low": np.asarray(self.low).tolist(), "high": np.asarray(self.high).tolist()}
