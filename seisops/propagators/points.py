"""Points anywhere in the grid: the weights by which they inject into and read from grid nodes.

A weight is a product over the axes, so a point is held as its first node and one row of weights
for every axis. Weights beyond the padded grid are dropped, as the wavefield is zero there; weights
above a free surface fold back with the sign of the mirror. The nodes of a row all lie in the grid, so
that kernels need not ask: at an edge it begins further in, and on an axis with fewer nodes it is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import i0

from seisops.model import Model
from seisops.storage import buffers
from seisops.units import hint_outside

HALF_WIDTH = {"linear": 1, "sinc": 6}
# The window parameter for half-width 6 in Hicks (2002), Geophysics 67, table 1.
KAISER = 6.40
ON_NODE = 1e-6
# Nodes of a polynomial next to a surface.
POLYNOMIAL = 6


@dataclass(frozen=True, eq=False)
class PointWeights:
    """First node (point, axis) of a shot's points, and for every axis their weights (point, node from there).

    `rows` says which series each point is, of those of all groups of points.
    """

    nodes: NDArray
    weights: tuple[NDArray, ...]
    rows: NDArray | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __getstate__(self) -> dict:
        return {"nodes": self.nodes, "weights": self.weights, "rows": self.rows}

    @cached_property
    def along_axes(self) -> tuple[tuple[NDArray, NDArray], ...]:
        """First node and weights along every axis, where a kernel can use them as they are."""
        pairs = zip(self.nodes.T, self.weights, strict=True)
        return tuple((buffers.aligned(first, first.dtype), buffers.aligned(w, w.dtype)) for first, w in pairs)

    @cached_property
    def whole(self) -> int:
        """Nodes of the rows where those of all axes are whole windows of a sinc, and 0 where some are not."""
        length = 2 * HALF_WIDTH["sinc"]
        return length if all(w.shape[1] == length for w in self.weights) else 0

    @cached_property
    def series(self) -> int:
        """How many series there are at least, of this group and of others."""
        return 1 + int(self.rows.max())

    def within(self, part: tuple[slice, ...]) -> PointWeights:
        """The same points with weight on the nodes of a part of the grid alone, and rows that lie in it."""
        rows = [_cut(first, w, s.start, s.stop) for first, w, s in zip(self.nodes.T, self.weights, part, strict=True)]
        nodes, weights = zip(*rows, strict=True)
        return replace(self, nodes=np.stack(nodes, axis=1).astype(self.nodes.dtype), weights=weights)

    def matrix(self, shape: tuple[int, ...]) -> csr_matrix:
        """The sparse matrix (point, node of a grid of `shape`) of these weights."""
        n = len(self)
        index, value = np.zeros((n, 1), int), np.ones((n, 1))
        for length, first, weights in zip(shape, self.nodes.T, self.weights, strict=True):
            node = first[:, None] + np.arange(weights.shape[1])
            index = (index[:, :, None] * length + node[:, None]).reshape(n, -1)
            value = (value[:, :, None] * weights[:, None]).reshape(n, -1)
        rows = np.arange(n + 1) * index.shape[1]
        entries = (value.ravel().astype(self.weights[0].dtype), index.ravel(), rows)
        return csr_matrix(entries, shape=(n, int(np.prod(shape))))


def _cut(first: NDArray, weights: NDArray, start: int, stop: int) -> tuple[NDArray, NDArray]:
    """What of rows that begin at `first` lies from `start` to `stop`, as rows within: where they begin, and weights."""
    length = weights.shape[1]
    width = min(length, stop - start)
    moved = np.clip(first, start, stop - width)
    old = (moved - first)[:, None] + np.arange(width)
    kept = np.take_along_axis(weights, np.clip(old, 0, length - 1), axis=1)
    return moved - start, np.where((old >= 0) & (old < length), kept, 0)


def point_weights(
    model: Model, positions: NDArray, interpolation: str, stagger: tuple[int, ...] | None = None, parity: int = -1
) -> PointWeights:
    """Weights of `positions` (point, axis) on the padded grid of `model`.

    Parameters
    ----------
    stagger : tuple of int, optional
        Half cells by which the nodes of the wavefield lie off the grid's.
    parity : int
        The sign of its mirror image above a free surface; 0 of one that ends there.

    Raises
    ------
    ValueError
        For points outside the model or on its free surface.
    """
    if positions.shape[1] != model.ndim:
        raise ValueError(f"Positions have {positions.shape[1]} coordinates, the model has {model.ndim} axes.")
    cells = (positions - np.array(model.origin)) / np.array(model.spacing)
    _check_inside(model, positions, cells)
    half_cells = np.zeros(model.ndim, int) if stagger is None else np.array(stagger)
    cells = cells - half_cells / 2
    cells = np.where(np.abs(cells - np.rint(cells)) < ON_NODE, np.rint(cells), cells)
    band = model.medium.band
    nodes, weights = [], []
    for axis in range(model.ndim):
        # On a node the weight is 1 there and 0 elsewhere: no need to visit the others.
        alone = band == 1 and np.all(cells[:, axis] == np.rint(cells[:, axis]))
        half = 1 if alone else HALF_WIDTH[interpolation]
        first = np.floor(cells[:, axis]).astype(int) - half + 1
        node = first[:, None] + np.arange(1 if alone else 2 * half)
        weight = _kernel(cells[:, axis, None] - node, half, band)
        if model.free_surface and axis == model.ndim - 1:
            first, weight = (
                _folded(node, weight, parity, half_cells[axis]) if parity else _ended(cells[:, axis], node, weight)
            )
        start, weight = _cut(first + model.pad_widths[axis][0], weight, 0, model.padded_shape[axis])
        nodes.append(start)
        weights.append(weight.astype(model.dtype))
    return PointWeights(np.stack(nodes, axis=1).astype(np.int32), tuple(weights))


def _folded(node: NDArray, weight: NDArray, parity: int, half: int) -> tuple[NDArray, NDArray]:
    """Rows of weights with those above the surface on their mirror images below; where they begin."""
    above = node < 0
    weight = np.where(above, parity, 1) * weight
    if parity < 0 and not half:
        weight = np.where(node == 0, 0, weight)
    below = np.where(above, -node - half, node)
    first = np.maximum(node[:, 0], 0)
    folded = np.zeros_like(weight)
    np.add.at(folded, (np.arange(len(node))[:, None], below - first[:, None]), weight)
    return first, folded


def _ended(cells: NDArray, node: NDArray, weight: NDArray) -> tuple[NDArray, NDArray]:
    """Rows of weights, of a polynomial of the first nodes where some would lie above the surface; where they begin."""
    length = weight.shape[1]
    first, result = _cut(node[:, 0], weight, 0, int(node.max()) + 1 + length)
    near = np.any((node < 0) & (weight != 0), axis=1)
    powers = np.arange(min(length, POLYNOMIAL))
    result[near] = 0
    result[near, : len(powers)] = np.linalg.solve(powers ** powers[:, None], cells[near] ** powers[:, None]).T
    return first, result


def _kernel(distance: NDArray, half: int, band: float) -> NDArray:
    """Weight of a node at `distance` cells: a hat, or a sinc of a band under a Kaiser window (Hicks, 2002)."""
    if half == 1:
        return np.maximum(1 - np.abs(distance), 0)
    window = i0(KAISER * np.sqrt(np.maximum(1 - (distance / half) ** 2, 0))) / i0(KAISER)
    window = np.where(np.abs(distance) < half, window, 0)
    if band < 1:
        weight = window * np.sinc(band * distance)
        return weight / weight.sum(axis=-1, keepdims=True)
    return window * np.where(distance == np.rint(distance), distance == 0, np.sinc(distance))


def _check_inside(model: Model, positions: NDArray, cells: NDArray) -> None:
    outside = np.any((cells < -ON_NODE) | (cells > np.array(model.shape) - 1 + ON_NODE), axis=1)
    if outside.any():
        first = positions[np.argmax(outside)]
        raise ValueError(
            f"{int(outside.sum())} of {len(positions)} points lie outside the model, the first at "
            f"{tuple(float(x) for x in first)} m; the model reaches from "
            f"{tuple(e[0] for e in model.extent)} to {tuple(e[1] for e in model.extent)} m."
            f"{hint_outside(positions, model.extent)}"
        )
    if model.free_surface and not model.ends and np.any(cells[:, -1] < ON_NODE):
        raise ValueError(
            f"{int(np.sum(cells[:, -1] < ON_NODE))} points lie on the free surface, where the pressure is zero: they "
            f"would neither send nor record. Put them below {model.origin[-1]:g} m, for instance at half a cell, "
            f"{model.origin[-1] + model.spacing[-1] / 2:g} m."
        )
