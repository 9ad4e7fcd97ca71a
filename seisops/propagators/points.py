"""Points anywhere in the grid: the weights by which they inject into and read from grid nodes.

A weight is a product over the axes, so a point is held as its first node and one row of weights
for every axis. Weights beyond the padded grid are dropped, as the wavefield is zero there; weights
above a free surface fold back with the sign of the mirror.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import i0

from seisops.model import Model

HALF_WIDTH = {"linear": 1, "sinc": 6}
# The window parameter for half-width 6 in Hicks (2002), Geophysics 67, table 1.
KAISER = 6.40
ON_NODE = 1e-6


@dataclass(frozen=True, eq=False)
class PointWeights:
    """First node (point, axis) and weights (point, axis, 2 * half_width) of a shot's points."""

    nodes: NDArray
    weights: NDArray

    @property
    def half_width(self) -> int:
        """Nodes on either side of a point."""
        return self.weights.shape[2] // 2

    def resized(self, npoint: int, half_width: int) -> PointWeights:
        """The same points with room for more of them, or for wider weights; all that is added weighs nothing."""
        n, ndim, width = self.weights.shape
        nodes = np.zeros((npoint, ndim), self.nodes.dtype)
        weights = np.zeros((npoint, ndim, 2 * half_width), self.weights.dtype)
        nodes[:n], weights[:n, :, :width] = self.nodes, self.weights
        return PointWeights(nodes, weights)

    def within(self, part: tuple[slice, ...]) -> PointWeights:
        """The same points on a part of the grid, with weight on its nodes alone and no node beyond its halo."""
        r, k = self.half_width, np.arange(2 * self.half_width)
        start, stop = (np.array([getattr(s, end) for s in part]) for end in ("start", "stop"))
        first = np.clip(self.nodes, start - r, stop - r)
        # Where a row of weights moved, it begins elsewhere.
        old = k + (first - self.nodes)[:, :, None]
        moved = np.take_along_axis(self.weights, np.clip(old, 0, 2 * r - 1), axis=2)
        nodes = first[:, :, None] + k
        inside = (old >= 0) & (old < 2 * r) & (start[:, None] <= nodes) & (nodes < stop[:, None])
        return PointWeights((first - start).astype(self.nodes.dtype), np.where(inside, moved, 0))

    def matrix(self, shape: tuple[int, ...]) -> csr_matrix:
        """The sparse matrix (point, node of a grid of `shape`) of these weights."""
        n, ndim, width = self.weights.shape
        rows, index, value = np.arange(n)[:, None], np.zeros((n, 1), int), np.ones((n, 1))
        inside = np.ones((n, 1), bool)
        for axis in range(ndim):
            node = self.nodes[:, axis, None] + np.arange(width)
            index = (index[:, :, None] * shape[axis] + np.minimum(node, shape[axis] - 1)[:, None]).reshape(n, -1)
            inside = (inside[:, :, None] & (node < shape[axis])[:, None]).reshape(n, -1)
            value = (value[:, :, None] * self.weights[:, axis, None]).reshape(n, -1)
        rows = np.broadcast_to(rows, index.shape)
        entries = (value[inside], (rows[inside], index[inside]))
        return csr_matrix(entries, shape=(n, int(np.prod(shape))), dtype=self.weights.dtype)


def point_weights(model: Model, positions: NDArray, interpolation: str) -> PointWeights:
    """Weights of `positions` (point, axis) on the padded grid of `model`.

    Raises
    ------
    ValueError
        For points outside the model or on its free surface.
    """
    if positions.shape[1] != model.ndim:
        raise ValueError(f"Positions have {positions.shape[1]} coordinates, the model has {model.ndim} axes.")
    cells = (positions - np.array(model.origin)) / np.array(model.spacing)
    _check_inside(model, positions, cells)
    cells = np.where(np.abs(cells - np.rint(cells)) < ON_NODE, np.rint(cells), cells)
    # On a node the weight is 1 there and 0 elsewhere: no need to visit the others.
    half = 1 if np.all(cells == np.rint(cells)) else HALF_WIDTH[interpolation]
    if half > 1 and min(model.padded_shape) < half:
        raise ValueError(
            f"Points between nodes reach over {half} cells on either side, more than the {min(model.padded_shape)} of "
            "an axis of the padded grid: put them on nodes, or take a larger model or layer."
        )
    npoint, ndim = cells.shape
    nodes = np.empty((npoint, ndim), np.int32)
    weights = np.zeros((npoint, ndim, 2 * half))
    for axis in range(ndim):
        first = np.floor(cells[:, axis]).astype(int) - half + 1
        node = first[:, None] + np.arange(2 * half)
        weight = _kernel(cells[:, axis, None] - node, half)
        before = model.pad_widths[axis][0]
        n = model.padded_shape[axis]
        if model.free_surface and axis == ndim - 1:
            weight = np.where(node < 0, -weight, weight)
            weight[node == 0] = 0
            node = np.abs(node)
        node = node + before
        start = np.clip(first + before, 0, max(n - 2 * half, 0))
        nodes[:, axis] = start
        point, column = np.nonzero((node >= 0) & (node < n))
        np.add.at(weights, (point, axis, (node - start[:, None])[point, column]), weight[point, column])
    return PointWeights(nodes, weights.astype(model.dtype))


def _kernel(distance: NDArray, half: int) -> NDArray:
    """Weight of a node at `distance` cells: a hat, or a sinc under a Kaiser window (Hicks, 2002)."""
    if half == 1:
        return np.maximum(1 - np.abs(distance), 0)
    window = i0(KAISER * np.sqrt(np.maximum(1 - (distance / half) ** 2, 0))) / i0(KAISER)
    return np.where(np.abs(distance) < half, window, 0) * np.where(
        distance == np.rint(distance), distance == 0, np.sinc(distance)
    )


def _check_inside(model: Model, positions: NDArray, cells: NDArray) -> None:
    outside = np.any((cells < -ON_NODE) | (cells > np.array(model.shape) - 1 + ON_NODE), axis=1)
    if outside.any():
        first = positions[np.argmax(outside)]
        raise ValueError(
            f"{int(outside.sum())} of {len(positions)} points lie outside the model, the first at "
            f"{tuple(float(x) for x in first)} m; the model reaches from "
            f"{tuple(e[0] for e in model.extent)} to {tuple(e[1] for e in model.extent)} m."
        )
    if model.free_surface and np.any(cells[:, -1] < ON_NODE):
        raise ValueError(
            f"{int(np.sum(cells[:, -1] < ON_NODE))} points lie on the free surface, where the pressure is zero: they "
            f"would neither send nor record. Put them below {model.origin[-1]:g} m, for instance at half a cell, "
            f"{model.origin[-1] + model.spacing[-1] / 2:g} m."
        )
