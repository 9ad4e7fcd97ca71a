"""Any operator as a Keras layer, on Keras' backends TensorFlow, PyTorch and JAX."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from pylops import LinearOperator

from seisops import compose
from seisops.algebra import describe
from seisops.arrays import real_type
from seisops.bridge.arguments import check_input
from seisops.bridge.parameters import broadcast, names_of
from seisops_keras import spec

match keras.backend.backend():
    case "tensorflow":
        from seisops_keras.tensorflow import apply, jvp
    case "torch":
        from seisops_keras.torch import apply, jvp
    case "jax":
        from seisops_keras.jax import apply, jvp
    case other:
        raise ImportError(
            f"seisops_keras runs on Keras' backends tensorflow, torch and jax, not {other}. Set the environment "
            "variable KERAS_BACKEND before keras is imported."
        )

__all__ = ["Layer", "apply"]


@keras.saving.register_keras_serializable(package="seisops")
class Layer(keras.layers.Layer):
    """An operator as a layer: ``layer(x)``, ``layer(x, m=m)`` or ``layer(x, v=v)``.

    Parameters
    ----------
    op : LinearOperator
        Any operator of seisops or PyLops, of any composition. `Layer(Pr @ A @ Pw.H)(w, m=m)` models extended sources,
        `Layer((Pr @ A @ Pw.H).H)(d, m=m)` is its adjoint, `Layer(Pr @ A @ Ps.H)(q, m=m)` models in a trainable earth.
    dtype : str or DTypePolicy, optional
        Of what the layer returns. By default that of the operator, or the global policy where that computes in half
        precision. The layer itself computes in the operator's precision always.
    **kwargs
        Of ``keras.layers.Layer``.

    Notes
    -----
    The shape of `x` ends with ``op.dims``, that of `m` (squared slowness, s²/km²) with ``op.model.shape``. What stands
    before is batch, of unknown size too; one m without batch axes serves all. The medium's parameters go by any name
    that ``op.model.at`` takes, the velocity ``v=v`` among them.

    Saved in a `.keras` file the operator is its parts, as JSON without code, so that loading it is safe: it needs
    ``import seisops_keras`` and no custom objects. Operators of PyLops have no such form: saving a model of them
    raises, saving its weights does not. A SavedModel (``model.export``) holds the graph, not the operator: where it
    is loaded, give an equal operator to :func:`seisops_keras.tensorflow.register` first.

    In half precision amplitudes above 65504 become infinite: give ``dtype="float32"`` where data are not scaled.

    Raises
    ------
    ValueError, TypeError
        For shapes or kinds of numbers that do not fit, before anything runs. What only the values show, such as a
        model too fast for the time step, raises when it runs; in a graph as a ``tf.errors.OpError`` with that message.

    Examples
    --------
    >>> import keras, pylops
    >>> layer = Layer(pylops.FirstDerivative(5, dtype="float32"))
    >>> tuple(layer(keras.ops.ones((8, 1, 5))).shape)
    (8, 1, 5)
    >>> layer.H.op.shape
    (5, 5)
    """

    def __init__(self, op: LinearOperator, *, dtype: Any = None, **kwargs) -> None:
        op = compose(op)
        # The layer casts by itself: Keras would cut the input to half precision before the operator sees it.
        super().__init__(dtype=_policy(dtype, op.dtype), autocast=False, **kwargs)
        # XLA has no way to call the operator, but for JAX's; without this Keras would try.
        self.supports_jit = keras.backend.backend() == "jax"
        self.op = op

    def call(self, x, m=None, **parameters):
        """See the class."""
        self._warn_of_precision(x)
        return _cast(apply(self.op, self._in_precision(x), m, **parameters), self._output_dtype)

    def jvp(self, x, dx, m=None, dm=None) -> tuple:
        """``layer(x, m=m)`` and its derivative along `dx` and `dm`: forward mode.

        Parameters
        ----------
        x : tensor
        m : tensor, or dict of str to tensor
            Squared slowness, or any parameters of the medium by name.
        dx, dm : like `x`, like `m`, or None for zero

        Returns
        -------
        y, dy : tensor

        Notes
        -----
        ``tf.autodiff.ForwardAccumulator`` is right in eager mode. Inside a ``tf.function`` TensorFlow would take the
        tangent to be zero, so there the layer raises NotImplementedError, and this is what to use.

        Examples
        --------
        >>> import keras, pylops
        >>> layer = Layer(pylops.FirstDerivative(5, dtype="float32"))
        >>> x = keras.ops.arange(5, dtype="float32")
        >>> y, dy = layer.jvp(x, 2 * x)
        >>> bool(keras.ops.all(dy == 2 * y))
        True
        """
        self._warn_of_precision(x)
        x, dx = self._in_precision(x), None if dx is None else self._in_precision(dx)
        m, dm = ({} if a is None else a if isinstance(a, Mapping) else {"m": a} for a in (m, dm))
        for name in set(dm) - set(m):
            raise ValueError(f"d{name} is a direction of {name} (not given); got shape {tuple(dm[name].shape)}.")
        return tuple(_cast(y, self._output_dtype) for y in jvp(self.op, x, dx, m, dm))

    @property
    def H(self) -> Layer:
        """The layer of the adjoint operator."""
        return Layer(self.op.H, dtype=self.dtype_policy)

    def __dir__(self) -> list[str]:
        # Keras saves every layer that dir() leads to, and the adjoint's adjoint's adjoint has no end.
        return [name for name in super().__dir__() if name != "H"]

    @property
    def _output_dtype(self) -> str:
        if np.issubdtype(self.op.dtype, np.complexfloating):
            return "complex128" if self.compute_dtype == "float64" else "complex64"
        return self.compute_dtype

    def _in_precision(self, x):
        """`x` as the operator takes it, so that what comes back is not cut to a lower precision of the input."""
        return _cast(x, real_type(self.op.dtype).name) if keras.backend.is_float_dtype(x.dtype) else x

    def _warn_of_precision(self, x) -> None:
        if keras.backend.standardize_dtype(x.dtype) == "float64" and self.op.dtype in (np.float32, np.complex64):
            warnings.warn(
                f"The input is float64, and {describe(self.op)} computes in {self.op.dtype}: make its Model with "
                "dtype='float64', or cast the input to float32.",
                UserWarning,
                stacklevel=2,
            )

    # ------------------------------------------------------------------ what Keras asks

    def compute_output_shape(self, x_shape, m_shape=None, **shapes) -> tuple:
        """The batch axes followed by ``op.dimsd``."""
        batch, names = check_input(self.op, tuple(x_shape)), names_of(self.op)
        given = {"m": m_shape, **{name.removesuffix("_shape"): shape for name, shape in shapes.items()}}
        for name, shape in given.items():
            if shape is not None:
                batch = broadcast(batch, names.check(name, tuple(shape)))
        return (*batch, *self.op.dimsd)

    def compute_output_spec(self, x, m=None, **parameters) -> keras.KerasTensor:
        """Shape and dtype of what :meth:`call` gives."""
        shapes = {name: a.shape for name, a in parameters.items()}
        shape = self.compute_output_shape(x.shape, None if m is None else m.shape, **shapes)
        return keras.KerasTensor(shape, dtype=self._output_dtype)

    def get_config(self) -> dict:
        """The operator's parts and the arguments of ``keras.layers.Layer``."""
        return {**super().get_config(), "op": spec.encode(self.op)}

    @classmethod
    def from_config(cls, config: dict) -> Layer:
        """The inverse of :meth:`get_config`."""
        return super().from_config({**config, "op": spec.decode(config["op"])})


def _cast(x, dtype: str):
    """`x` in a precision. Keras makes a node, and so a moment, of a cast that changes nothing too."""
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else keras.ops.cast(x, dtype)


def _policy(dtype: Any, op_dtype: np.dtype) -> Any:
    if dtype is not None:
        return dtype
    policy = keras.config.dtype_policy()
    return policy if policy.compute_dtype in ("float16", "bfloat16") else real_type(op_dtype).name
