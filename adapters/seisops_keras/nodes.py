"""What runs under a node of TensorFlow: the partials of an operator, in eager mode and by name from graphs."""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops import compose
from seisops.algebra import describe
from seisops.bridge import calculus, registry
from seisops.bridge.calculus import Keeper
from seisops.bridge.form import Inputs, Partial
from seisops.bridge.waiting import evaluate, waiting
from seisops.execution.config import DEFAULT, Config, current, under
from seisops.storage import buffers
from seisops_keras import shim, spec

from_dlpack = tf.experimental.dlpack.from_dlpack


@dataclass(frozen=True)
class Mode:
    """How a node runs: whether it is the user's product, leaves its wavefield, and which eager call it belongs to."""

    product: bool = False
    keep: bool = False
    keeper: Keeper | None = None


def run(op: LinearOperator, mode: Mode, partials: tuple[Partial, ...], inputs: Inputs) -> list[tf.Tensor]:
    """The partials at once, or the node of a graph that computes them."""
    if tf.executing_eagerly():
        # Shared, not copied: nobody else has these arrays. Of a tensor in any other than aligned memory TensorFlow ends
        # the process.
        results = _compute(op, mode, partials, inputs.map(np.asarray))
        return [from_dlpack(buffers.aligned(r, r.dtype).__dlpack__()) for r in results]
    outputs = calculus.outputs(op, partials, inputs)
    flat = inputs.flat()
    call = {
        "op": _key(op),
        "name": describe(op),
        "partials": [[p.slot, p.order] for p in partials],
        "places": [i for i, t in enumerate(flat) if t is not None],
        "of": len(flat),
        "product": mode.product,
        "keep": mode.keep,
        "keeper": 0 if mode.keeper is None else registry.register(mode.keeper),
        "settings": _settings_now(),
    }
    with _lock:
        _operators.setdefault(call["op"], op)
    arguments = [tf.constant(json.dumps(call)), *(t for t in flat if t is not None)]
    results = shim.call(TOKEN, _callback, arguments, [tf.as_dtype(dtype) for _, dtype in outputs])
    for result, (shape, _) in zip(results, outputs, strict=True):
        result.set_shape(shape)
    return list(results)


# What every node of every graph calls. Its first input says what to do, so that a graph needs no more than this name.
TOKEN = "seisops_keras.tensorflow (import it in this process)"


def _callback(text: bytes, *arrays: NDArray) -> list[NDArray]:
    call, partials = _read(text)
    op = _operators.get(call["op"])
    if op is None:
        raise RuntimeError(
            f"This graph was made for {call['name']}, which is not in this process: build the same operator and give "
            "it to seisops_keras.tensorflow.register(op)."
        )
    inputs = Inputs.unflat(placed(call["places"], arrays, call["of"]))
    mode = Mode(call["product"], call["keep"], registry.keeper(call["keeper"]))
    # TensorFlow runs nodes on threads of its own, which know nothing of the settings in force where it was traced.
    with under(_settings_of(call["settings"])):
        return _compute(op, mode, partials, inputs)


@lru_cache
def _read(text: bytes) -> tuple[dict, tuple[Partial, ...]]:
    """What a node says, and the partials in it: the same at every call."""
    call = json.loads(text)
    return call, tuple(Partial(*p) for p in call["partials"])


shim.enter(TOKEN, _callback)


def _compute(op: LinearOperator, mode: Mode, partials: tuple[Partial, ...], inputs: Inputs) -> list[NDArray]:
    if mode.product:
        return _own(evaluate(op, partials, inputs, mode.keeper, keep=mode.keep, looks=False))
    known = [_without_march(p, inputs) for p in partials]
    needed = [p for p, value in zip(partials, known, strict=True) if value is None]
    if not needed:
        # What was kept for this backward is found by running it; without, let all go: a march at most for the others.
        if Partial("m", 1) in partials and mode.keeper is None:
            waiting(op).clear()
        values = iter(())
    else:
        values = iter(_own(evaluate(op, needed, inputs, mode.keeper)))
    return [
        next(values) if value is None else np.full(shape, value, dtype)
        for value, (shape, dtype) in zip(known, calculus.outputs(op, partials, inputs), strict=True)
    ]


def _own(arrays: list[NDArray]) -> list[NDArray]:
    return [buffers.copied(a, a.dtype) for a in arrays]


def _without_march(partial: Partial, inputs: Inputs) -> float | None:
    """The value of a partial where it needs no march: it is linear in all but m."""
    taken = [getattr(inputs, name) for name in ("x", "y") if name != partial.slot]
    taken = [a for a in (*taken, *inputs.dm[: partial.order - (partial.slot == "m")]) if a is not None]
    # Half precision overflows now and then; what scales the loss waits for such a gradient, to skip the step.
    if not all(np.all(np.isfinite(a)) for a in taken):
        return np.nan
    # The cotangent of an output that nobody used.
    return None if all(np.any(a) for a in taken) else 0.0


# ---------------------------------------------------------------------- what graphs call by name

_lock = threading.RLock()
_keys: weakref.WeakKeyDictionary[LinearOperator, str] = weakref.WeakKeyDictionary()
# Of every graph, until the process ends: so long TensorFlow keeps a graph's gradient function, and it the operator.
_operators: dict[str, LinearOperator] = {}
# Settings of so.config that graphs were traced in, other than the default ones.
_settings: dict[str, Config] = {}
# How names of those end on which numbers depend: all but the storage leave them as they are.
_STORED = " storage"


def _key(op: LinearOperator) -> str:
    """What a graph calls an operator: by its parts, so that another process can; by a number where they are foreign."""
    with _lock:
        if op not in _keys:
            try:
                text = json.dumps(spec.encode(op), sort_keys=True)
                _keys[op] = hashlib.sha256(text.encode()).hexdigest()
            except TypeError:
                _keys[op] = f"{registry.PROCESS}:{registry.register(op)}"
        return _keys[op]


def _settings_now() -> str:
    """What a graph calls the settings of ``so.config`` that it is traced in."""
    now = current()
    if now == DEFAULT:
        return ""
    with _lock:
        kind = "" if now.storage == DEFAULT.storage else _STORED
        new = f"{registry.PROCESS}:{len(_settings)}{kind}"
        name = next((k for k, known in _settings.items() if known == now), new)
        _settings[name] = now
    return name


def _settings_of(name: str) -> Config:
    """The settings that a graph was traced in, the default ones in another process where they give the same numbers."""
    if name.endswith(_STORED) and name not in _settings:
        raise RuntimeError(
            "This graph was traced in another process in so.config(storage=...), which is not in its file: trace and "
            "save it in the default settings, or build the layer here."
        )
    return _settings.get(name, DEFAULT)


def placed(places: Sequence[int], given: Sequence, n: int) -> tuple:
    """`given` at their `places` among `n`, None elsewhere."""
    values = dict(zip(places, given, strict=True))
    return tuple(values.get(i) for i in range(n))


def register(op: LinearOperator) -> None:
    """Let SavedModels that were made with `op`, or with an equal operator, run in this process.

    Parameters
    ----------
    op : operator of seisops
        A SavedModel holds the graph but not the operator. It is recognised by its parts, and kept until the end of
        the process.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> register(so.Modeling(model, so.Geometry([[[250, 20]]], dt=2, t=200)))
    """
    op = compose(op)
    # A graph of what cannot be written down is of one process: refuse it here, with the reason.
    spec.encode(op)
    key = _key(op)
    with _lock:
        _operators[key] = op
