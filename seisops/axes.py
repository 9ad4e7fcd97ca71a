"""Where values stand in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.model import Model


def on_grid(model: Model, values: ArrayLike | None, label: str | None) -> tuple[NDArray, str]:
    """Values of a model as an array of its shape, the velocity by default, and what their colours are called."""
    if values is None:
        name = "v" if "v" in model.medium.spellings else next(iter(model.parameters))
        known = model.medium.parameters | model.medium.spellings
        return getattr(model, name), known[name].unit if label is None else label
    values = np.asarray(values)
    if values.size != np.prod(model.shape) or values.shape not in (model.shape, (values.size,)):
        raise ValueError(f"A picture of {model} takes values of shape {model.shape}, or flat; got {values.shape}.")
    return values.reshape(model.shape), label or ""


def names(model: Model) -> tuple[str, ...]:
    return ("x", "depth") if model.ndim == 2 else ("x", "y", "depth")


def cut(model: Model, values: NDArray, across: str, at: float | None) -> tuple[list[int], NDArray, str]:
    """The axes of a picture, the values on them, and in 3-D where they stand on the third."""
    if model.ndim == 2:
        return [0, 1], values, ""
    if across not in ("x", "y", "z"):
        raise ValueError(f"A slice stands across 'x', 'y' or 'z', got {across!r}.")
    axis = "xyz".index(across)
    low, high = model.extent[axis]
    at = (low + high) / 2 if at is None else at
    if not low <= at <= high:
        raise ValueError(f"A slice at {across} = {at:g} m is outside of the model, {low:g} to {high:g} m.")
    cell = round((at - low) / model.spacing[axis])
    where = f"{names(model)[axis]} = {(low + cell * model.spacing[axis]) / 1000:.4g} km"
    return [a for a in range(3) if a != axis], np.take(values, cell, axis), where


def along(points: NDArray) -> tuple[NDArray, str]:
    """The coordinate in which receivers spread most, in km, and its name; their numbers where several have one."""
    spread = np.ptp(points, axis=0)
    axis = int(np.argmax(spread))
    x = points[:, axis] / 1000
    if len(np.unique(x)) < len(x):
        return np.arange(len(x), dtype=float), "receiver"
    return x, f"receiver {(*'xy'[: points.shape[1] - 1], 'depth')[axis]} (km)"


def columns(x: NDArray, record: NDArray) -> tuple[NDArray, NDArray]:
    """The edges of the columns of traces that stand where their receivers are, and the traces; gaps are NaN."""
    order = np.argsort(x)
    x, record = x[order], record[order].astype(float)
    gaps = np.diff(x)
    half = 0.5 * np.minimum(gaps, 1.5 * np.median(gaps))
    left, right = x - np.append(half[:1], half), x + np.append(half, half[-1:])
    edges, traces = [left[0]], []
    for k in range(len(x)):
        if left[k] > edges[-1] * (1 + 1e-9) + 1e-12:
            edges.append(left[k])
            traces.append(np.full(record.shape[1], np.nan))
        edges.append(right[k])
        traces.append(record[k])
    return np.array(edges), np.array(traces)
