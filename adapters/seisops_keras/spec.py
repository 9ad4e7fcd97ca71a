"""Operators as JSON and back: their parts and arrays, and no code."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from pylops import LinearOperator

from seisops import (
    LRWF,
    Geometry,
    Model,
    Modeling,
    Parametrisation,
    Projection,
    Propagation,
    Scattering,
    Strain,
    VirtualSource,
    compose,
)
from seisops.algebra import Adjoint, Block, Chain, SeismicOperator, Sum, describe
from seisops.imaging.grid_operators import Laplacian, Weighting
from seisops.operators.conditions import AdjointState, Correlation, SubsurfaceOffsets
from seisops.physics import MEDIA, Medium
from seisops.storage import Auto, Checkpointed, Disk, Frequencies, Half, Memory, Subsampled

VERSION = 2

# The keywords of every class, and the attribute that holds each where it has another name; ** for keywords in a dict.
PARTS: dict[type, dict[str, str]] = {
    Model: {"physics": "medium", "**": "parameters"}
    | dict.fromkeys(
        (
            "spacing",
            "origin",
            "absorb",
            "free_surface",
            "space_order",
            "dt",
            "vmax",
            "correct_dispersion",
            "dtype",
        ),
        "",
    ),
    Parametrisation: dict.fromkeys(("model", "formulas", "bounds", "fixed"), ""),
    Geometry: {"positions": "", "dt": "", "t": "", "t0": "", "single": ""},
    Projection: dict.fromkeys(("model", "geometry", "interpolation", "component"), ""),
    LRWF: dict.fromkeys(("model", "geometry", "wavelet", "component"), ""),
    Strain: {"direction": "", "gauge": ""},
    Modeling: {"model": "", "geometry": ""},
    Propagation: {"left": "", "A": "", "right": "", "adjoint": "adjoint_time"},
    Scattering: dict.fromkeys(("model", "geometry", "op", "x", "condition", "storage"), ""),
    VirtualSource: dict.fromkeys(("model", "geometry", "op", "x", "condition"), ""),
    Laplacian: {"model": ""},
    Weighting: {"model": "", "op": "", "z": ""},
    Block: dict.fromkeys(("dims", "dimsd", "start", "dtype"), ""),
    Adjoint: {"op": ""},
    Sum: {"terms": ""},
    Chain: {"factors": "", "scale": ""},
}
PARTS |= {
    cls: dict.fromkeys((f.name for f in fields(cls)), "")
    for cls in (*MEDIA, AdjointState, Correlation, SubsurfaceOffsets, Auto, Memory, Disk, Checkpointed, Half,
                Subsampled, Frequencies)
}  # fmt: skip
NAMES = {cls.__name__: cls for cls in PARTS}


def encode(op: LinearOperator | Model | Parametrisation) -> dict:
    """What JSON can hold of an operator, to build an equal one from.

    Parameters
    ----------
    op : operator of seisops, Model or Parametrisation

    Returns
    -------
    dict
        A table of parts that refer to each other by position, the whole as the last one. A model that several
        operators share is in it once.

    Raises
    ------
    TypeError
        For operators of PyLops and media of one's own, which hold code.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec)
    >>> [part["class"] for part in encode(F)["parts"]]
    ['Acoustic', 'Model', 'Geometry', 'Projection', 'Modeling', 'Chain']
    >>> decode(encode(F))
    Pr @ A: (1, 97, 71, 61) -> (1, 1, 101)
    """
    parts: list[dict] = []
    positions: dict[int, int] = {}

    def write(value: Any) -> Any:
        if type(value) in PARTS:
            if id(value) not in positions:
                held = {
                    name: write(getattr(value, attribute or name)) for name, attribute in PARTS[type(value)].items()
                }
                positions[id(value)] = len(parts)
                parts.append({"class": type(value).__name__, **held})
            return {"part": positions[id(value)]}
        if isinstance(value, (LinearOperator, SeismicOperator)):
            raise TypeError(
                f"{describe(value)} cannot be saved: products of operators of seisops are made of parts that JSON can "
                "hold, but not apertures, settings of their own, or operators of PyLops. Save the weights alone, and "
                "build the layer again from code."
            )
        if isinstance(value, Medium):
            raise TypeError(
                f"{type(value).__name__} is an equation of your own, and cannot be saved: save the weights alone, and "
                "build the layer again from code."
            )
        return _write(value, write)

    write(compose(op) if isinstance(op, LinearOperator) else op)
    return {"seisops": VERSION, "parts": parts}


def decode(spec: dict) -> Any:
    """The inverse of :func:`encode`.

    Raises
    ------
    ValueError
        For what `encode` did not write.
    """
    if not isinstance(spec, dict) or spec.get("seisops") != VERSION:
        raise ValueError(f"This is no operator that seisops_keras wrote (format {VERSION}).")
    built: list = []
    for part in spec["parts"]:
        if part["class"] not in NAMES:
            raise ValueError(f"There is no part {part['class']!r} of an operator.")
        built.append(_build(NAMES[part["class"]], {k: _read(v, built) for k, v in part.items() if k != "class"}))
    return built[-1]


def _build(cls: type, parts: dict) -> Any:
    # The one shot `geometry[i]` is a geometry of its own kind.
    single, named = parts.pop("single", False), parts.pop("**", {})
    result = cls(**parts, **named)
    return result[0] if single else result


def _write(value: Any, write) -> Any:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        data = base64.b64encode(little.tobytes()).decode()
        return {"array": data, "dtype": little.dtype.str, "shape": list(value.shape)}
    if isinstance(value, (tuple, list)):
        return {"list": [write(item) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": {name: write(item) for name, item in value.items()}}
    if isinstance(value, np.dtype):
        return value.name
    value = value.item() if isinstance(value, np.generic) else value
    return {"complex": [value.real, value.imag]} if isinstance(value, complex) else value


def _read(value: Any, built: list) -> Any:
    match value:
        case {"part": position}:
            return built[position]
        case {"array": data, "dtype": dtype, "shape": shape}:
            return np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
        case {"list": items}:
            return [_read(item, built) for item in items]
        case {"dict": items}:
            return {name: _read(item, built) for name, item in items.items()}
        case {"complex": [real, imag]}:
            return complex(real, imag)
    return value
