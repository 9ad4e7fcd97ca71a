"""The three questions that TensorFlow answers under private names only, each with what to do where one moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

try:
    from tensorflow.python.ops.script_ops import _py_funcs
except ImportError:
    _py_funcs = None
try:
    from tensorflow.python.ops.gradients_util import PossibleTapeGradientTypes
except ImportError:
    PossibleTapeGradientTypes = None
try:
    from tensorflow.python.eager.forwardprop_util import pack_tangents
except ImportError:
    pack_tangents = None


def recorded(*tensors: tf.Tensor) -> bool:
    """Whether a tape or a forward accumulator follows one of `tensors`. Without an answer all are taken to be."""
    return PossibleTapeGradientTypes is None or bool(PossibleTapeGradientTypes(tensors))


def forward_mode(tensors: Sequence[tf.Tensor]) -> bool:
    """Whether a forward accumulator has a tangent of one of `tensors`. Without an answer none has."""
    return pack_tangents is not None and any(pack_tangents(list(tensors)).indices)


def call(token: str, function: Callable, inputs: Sequence[tf.Tensor], dtypes: Sequence[tf.DType]) -> list[tf.Tensor]:
    """`function` of NumPy arrays as a node of a graph, found again in another process by its `token`.

    Without TensorFlow's registry this is ``tf.numpy_function``, whose graphs run in the process that made them only.
    """
    if _py_funcs is None:
        return tf.numpy_function(function, inputs, dtypes, stateful=False)
    enter(token, function)
    return tf.raw_ops.PyFuncStateless(input=inputs, token=token, Tout=dtypes)


def enter(token: str, function: Callable) -> None:
    """Put `function` where the nodes of every graph look for `token`. The registry refers to it weakly."""
    if _py_funcs is not None:
        _py_funcs._funcs[token] = function
