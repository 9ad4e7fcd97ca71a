r"""What ``fuzz_expressions.py`` compares with: every operator once more, in NumPy, without kernels and without fusion.

The wave equation is one sparse matrix T from step to step, its transpose is the transposed matrix, and derivatives are
found by arithmetic with nilpotent numbers: an array that depends on the model is held as its value and its derivatives
along some perturbations,

.. math:: x(m + \epsilon_1 dm_1 + \epsilon_2 dm_2) = x_0 + \epsilon_1 x_1 + \epsilon_2 x_2 + \epsilon_1 \epsilon_2 x_3,
          \qquad \epsilon_i^2 = 0

a dictionary from the set of perturbations (the bits of a number) to an array of columns. So a Jacobian here is no
formula of the library's but the definition of one, at machine precision and to any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
import scipy.sparse as sp

from seisops.imaging import window as windows
from seisops.model import Model
from seisops.physics.stencil import second_derivative_weights
from seisops.propagators.points import point_weights
from seisops.propagators.workspaces import profile_values
from seisops.time_operator import computational_steps, time_operator

Jet = dict[int, np.ndarray]


# ---------------------------------------------------------------------- arithmetic with nilpotent numbers


def each(f, x: Jet) -> Jet:
    """A linear function of a jet."""
    return {k: f(v) for k, v in x.items()}


def plus(*jets: Jet) -> Jet:
    """The sum."""
    total: Jet = {}
    for x in jets:
        for k, v in x.items():
            total[k] = total[k] + v if k in total else v
    return total


def times(x: Jet, y: Jet, product=np.multiply) -> Jet:
    """The product of two jets, of whatever kind."""
    return plus(*({a | b: product(v, w)} for a, v in x.items() for b, w in y.items() if not a & b), {})


# ---------------------------------------------------------------------- where and of what


class Meaningless(ValueError):
    """What the library should have refused."""


@dataclass(frozen=True)
class Space:
    """What arrays hold: samples of shots, weights or wavefields of shots, images, or something foreign of a size."""

    kind: str
    # Of data: samples of every shot; of weights and wavefields: one for every shot; of images: offsets; else the size.
    counts: tuple[int, ...] = (1,)
    nt: int = 1


@dataclass(frozen=True, eq=False)
class Where:
    """The shots, the window, the model and its perturbations for which an operator is asked."""

    shots: tuple[int, ...] | None = None
    window: tuple[slice, ...] | None = None
    m: np.ndarray | None = None
    delta: Jet | None = None
    bits: int = 0

    def model(self, model: Model) -> Model:
        """The model an operator that was made in `model` is in."""
        model = model if self.m is None else model.at(m=self.m)
        return model if self.window is None else model.window(self.window)

    def columns(self) -> int:
        """How many different perturbations there are at once."""
        return max([v.shape[1] for v in (self.delta or {}).values()], default=1)

    def column(self, j: int) -> Where:
        """With the perturbation of one column."""
        return replace(self, delta=each(lambda v: v[:, [min(j, v.shape[1] - 1)]], self.delta or {}))

    def perturbed(self, model: Model, dm: Jet) -> Where:
        """With one perturbation more, of the window."""
        bit = 1 << self.bits
        more = {k | bit: self.whole(model, v) for k, v in dm.items()}
        return replace(self, delta=(self.delta or {}) | more, bits=self.bits + 1)

    def whole(self, model: Model, x: np.ndarray) -> np.ndarray:
        """An array of the window's columns in the whole model."""
        if self.window is None:
            return x
        out = np.zeros((*model.shape, x.shape[1]), x.dtype)
        out[self.window] = x.reshape(*out[self.window].shape[:-1], -1)
        return out.reshape(-1, x.shape[1])

    def change(self, model: Model) -> Jet:
        """The perturbations of m on the grid, columns last."""

        def part(v):
            x = v.reshape(*model.shape, -1)
            return x if self.window is None else x[self.window]

        return each(part, self.delta or {})

    def sizes(self, space: Space, model: Model) -> list[int]:
        """How much of an array belongs to every shot; the whole where it is of no shot."""
        counts = space.counts if self.shots is None else [space.counts[i % len(space.counts)] for i in self.shots]
        if space.kind == "data":
            return list(counts)
        here = self.model(model)
        cells = int(np.prod(here.shape))
        n = len(space.counts) if self.shots is None else len(self.shots)
        if space.kind == "weights":
            return [cells] * n
        if space.kind == "wavefields":
            return [space.nt * int(np.prod(here.padded_shape))] * n
        return [space.counts[0] * (cells if space.kind == "image" else 1)]

    def split(self, space: Space, model: Model, x: np.ndarray) -> list[np.ndarray]:
        """The parts of all shots."""
        sizes = self.sizes(space, model)
        assert len(x) == sum(sizes), (space, len(x), sizes)
        return np.split(x, np.cumsum(sizes)[:-1])


def taken(space: Space, model: Model, x: np.ndarray, there: Where, here: Where) -> np.ndarray:
    """Of columns at `there`, what belongs to the shots (among those of there) and to the window `here`."""
    parts = there.split(space, model, x)
    if space.kind in ("data", "weights", "wavefields"):
        known = there.shots or tuple(range(len(space.counts)))
        parts = [parts[known.index(i)] for i in here.shots] if here.shots is not None else parts
    if here.window is not None and space.kind == "wavefields":
        raise Meaningless("a wavefield on a part of the model")
    if here.window is not None and space.kind in ("weights", "image"):
        outer = there.window or tuple(slice(0, n) for n in model.shape)
        inner = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(outer, here.window, strict=True))
        shape = there.model(model).shape
        parts = [p.reshape(-1, *shape, p.shape[1])[(slice(None), *inner)].reshape(-1, p.shape[1]) for p in parts]
    return np.concatenate(parts)


def embedded(space: Space, model: Model, y: np.ndarray, there: Where, here: Where) -> np.ndarray:
    """The transpose of the window's part of :func:`taken`."""
    if here.window is None or space.kind not in ("weights", "image"):
        return y
    outer = there.window or tuple(slice(0, n) for n in model.shape)
    inner = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(outer, here.window, strict=True))
    small, large = here.model(model).shape, there.model(model).shape
    y = y.reshape(-1, *small, y.shape[1])
    out = np.zeros((len(y), *large, y.shape[-1]), y.dtype)
    out[(slice(None), *inner)] = y
    return out.reshape(-1, y.shape[-1])


# ---------------------------------------------------------------------- the wave equation as a matrix


def banded(weights: dict[int, float], n: int, mirror: bool) -> sp.csr_matrix:
    """Differences along an axis of `n` nodes, zero beyond it, or mirrored with the opposite sign at the first node."""
    D = sp.lil_matrix((n, n))
    for i in range(n):
        for k, w in weights.items():
            j, sign = i + k, 1
            if mirror and j < 0:
                j, sign = -j, -1
            if 0 <= j < n:
                D[i, j] += sign * w
    return D.tocsr()


def half_cell_weights(order: int) -> dict[int, float]:
    """Of the first derivative half a cell behind a node, on a unit grid, exact for polynomials up to the order."""
    k = np.arange(1 - order // 2, order // 2 + 1)
    powers = np.vander(k - 0.5, increasing=True).T
    return dict(zip(k.tolist(), np.linalg.solve(powers, np.eye(len(k))[1]).tolist(), strict=True))


def stepping(model: Model):
    """T, B and the wavefield's part of the state: y[n+1] = T y[n] + B s[n], u = E y."""
    return _stepping(model.grid_key, model.m.tobytes(), _Held(model))


@dataclass(frozen=True)
class _Held:
    """A model that does not count as an argument."""

    model: Model

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


@lru_cache(maxsize=64)
def _stepping(key, m, held: _Held):
    model = held.model
    shape, N, order = model.padded_shape, int(np.prod(model.padded_shape)), model.space_order
    c2 = dict(zip(range(-(order // 2), order // 2 + 1), second_derivative_weights(order).tolist(), strict=True))
    # The layer's first memory lies half a cell behind its node.
    there = half_cell_weights(min(order, 4))
    back = {k - 1: w for k, w in there.items()}

    def along(axis, weights, d, mirrored=True):
        mirror = mirrored and model.free_surface and axis == model.ndim - 1
        left, right = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
        M = banded({k: w / d for k, w in weights.items()}, shape[axis], mirror)
        return sp.kron(sp.kron(sp.eye(left), M), sp.eye(right)).tocsr()

    eye, rows = sp.eye(N, format="csr"), []
    dinv = model.dt**2 / model.pad(model.m.astype(np.float64)).ravel()
    keep = np.ones(shape)
    if model.free_surface:
        keep[..., 0] = 0
    ahead = sp.diags(dinv * keep.ravel())
    gain_u, gain = sum(along(a, c2, d**2) for a, d in enumerate(model.spacing)), []
    fields = []
    for axis, d in enumerate(model.spacing):
        if not model.absorb:
            continue
        # Where a surface mirrors, there is no layer and no memory.
        D, Db, D2 = along(axis, there, d), along(axis, back, d, mirrored=False), along(axis, c2, d**2)
        here = np.reshape([-1 if a == axis else 1 for a in range(model.ndim)], -1)
        (a, b), (ah, bh) = (
            [
                sp.diags(np.broadcast_to(profile_values(model, c, axis, h).astype(float).reshape(here), shape).ravel())
                for c in "ab"
            ]
            for h in (0, 1)
        )
        # psi and zeta of this step from the wavefield and their values of the step before.
        fields.append(((ah @ D, bh), (a @ (D2 + Db @ ah @ D), a @ Db @ bh, b)))
        gain_u = gain_u + Db @ ah @ D + a @ (D2 + Db @ ah @ D)
        gain += [Db @ bh + a @ Db @ bh, b]
    rows.append([2 * eye + ahead @ gain_u, -eye, *(ahead @ g for g in gain)])
    rows.append([eye, None, *[None] * len(gain)])
    for i, ((psi_u, psi_psi), (zeta_u, zeta_psi, zeta_zeta)) in enumerate(fields):
        before, after = [None] * (2 * i), [None] * (len(gain) - 2 * i - 2)
        rows.append([psi_u, None, *before, psi_psi, None, *after])
        rows.append([zeta_u, None, *before, zeta_psi, zeta_zeta, *after])
    rows[1][1] = sp.csr_matrix((N, N))
    for row in rows[2:]:
        row[1] = sp.csr_matrix((N, N))
    T = sp.bmat(rows, format="csr") if gain else sp.bmat([rows[0][:2], [eye, sp.csr_matrix((N, N))]], format="csr")
    B = sp.vstack([ahead, sp.csr_matrix((T.shape[0] - N, N))], format="csr")
    return T, T.T.tocsr(), B, B.T.tocsr(), N


def marched(model: Model, s: np.ndarray) -> np.ndarray:
    """u of axes (step, node, column) from s of the same."""
    T, _, B, _, N = stepping(model)
    y, u = np.zeros((T.shape[0], s.shape[2]), s.dtype), np.zeros_like(s)
    for n in range(len(s)):
        u[n] = y[:N]
        y = T @ y + B @ s[n]
    return u


def marched_back(model: Model, v: np.ndarray) -> np.ndarray:
    """The transpose of :func:`marched`."""
    T, Tt, _, Bt, N = stepping(model)
    y, s = np.zeros((T.shape[0], v.shape[2]), v.dtype), np.zeros_like(v)
    for n in reversed(range(len(v))):
        s[n] = Bt @ y
        y = Tt @ y
        y[:N] += v[n]
    return s


def second_difference(u: np.ndarray, h: float) -> np.ndarray:
    """Along the first axis, zero before and after."""
    g = -2 * u
    g[:-1] += u[1:]
    g[1:] += u[:-1]
    return g / h**2


# ---------------------------------------------------------------------- the operators


class Node:
    """An expression: the library's operator, and what it should be."""

    inp: Space
    out: Space
    children: tuple[Node, ...] = ()

    def __init__(self, op, text: str, model: Model, *children: Node) -> None:
        self.op, self.text, self.model, self.children = op, text, model, children

    def dot(self, x: Jet, where: Where) -> Jet:
        raise NotImplementedError

    def tdot(self, y: Jet, where: Where) -> Jet:
        """The transpose, not conjugated."""
        raise NotImplementedError

    def points(self, i: int) -> Iterator[np.ndarray]:
        """Sources and receivers of a shot."""
        for child in self.children:
            yield from child.points(i)

    def given(self, x, where: Where) -> Jet:
        """A constant input of all shots in the whole model, for those and that of `where`."""
        x = np.asarray(x, np.result_type(np.asarray(x).dtype, np.float64)).reshape(-1, 1)
        return {0: taken(self.inp, self.model, x, Where(m=where.m), where)}


def hdot(node: Node, y: Jet, where: Where) -> Jet:
    """The adjoint."""
    return each(np.conj, node.tdot(each(np.conj, y), where))


class Points(Node):
    """Pr"""

    def __init__(self, op, text, model):
        super().__init__(op, text, model)
        self.geometry, self.interpolation = op.geometry, op.interpolation
        self.nt = computational_steps(model, self.geometry)
        self.inp = Space("wavefields", self.geometry.counts, self.nt)
        self.out = Space("data", tuple(n * self.geometry.nt for n in self.geometry.counts))
        self.positions = [p.copy() for p in self.geometry.positions]
        self.W = np.array(time_operator(model, self.geometry), np.float64)

    def points(self, i):
        yield self.positions[i]

    def matrices(self, where):
        model = where.model(self.model)
        shots = range(len(self.positions)) if where.shots is None else where.shots
        shape = model.padded_shape
        return [point_weights(model, self.positions[i], self.interpolation).matrix(shape).astype(float) for i in shots]

    def dot(self, x, where):
        def record(u):
            parts = where.split(self.inp, self.model, u)
            out = []
            for R, p in zip(self.matrices(where), parts, strict=True):
                p = p.reshape(self.nt, R.shape[1], -1)
                s = np.stack([R @ step for step in p])
                out.append(np.einsum("npk,nt->ptk", s, self.W).reshape(-1, u.shape[1]))
            return np.concatenate(out)

        return each(record, x)

    def tdot(self, y, where):
        def inject(d):
            out = []
            for R, p in zip(self.matrices(where), where.split(self.out, self.model, d), strict=True):
                s = np.einsum("ptk,nt->npk", p.reshape(R.shape[0], -1, d.shape[1]), self.W)
                out.append(np.stack([R.T @ step for step in s]).reshape(-1, d.shape[1]))
            return np.concatenate(out)

        return each(inject, y)


class Wavelet(Node):
    """Pw"""

    def __init__(self, op, text, model, wavelet):
        super().__init__(op, text, model)
        n, self.nt = op.geometry.nsrc, op.nt
        self.inp, self.out = Space("wavefields", (1,) * n, self.nt), Space("weights", (1,) * n)
        W = np.array(time_operator(model, op.geometry), np.float64)
        self.series = np.broadcast_to(np.array(wavelet, float).reshape(-1, op.geometry.nt), (n, op.geometry.nt)) @ W.T

    def rows(self, where):
        return self.series if where.shots is None else self.series[list(where.shots)]

    def dot(self, x, where):
        model = where.model(self.model)

        def correlate(u):
            out = []
            for q, p in zip(self.rows(where), where.split(self.inp, self.model, u), strict=True):
                w = np.tensordot(q, p.reshape(self.nt, *model.padded_shape, -1), 1)
                out.append(w[model.interior].reshape(-1, u.shape[1]))
            return np.concatenate(out)

        return each(correlate, x)

    def tdot(self, y, where):
        model = where.model(self.model)

        def extend(w):
            out = []
            for q, p in zip(self.rows(where), where.split(self.out, self.model, w), strict=True):
                padded = np.zeros((*model.padded_shape, w.shape[1]), w.dtype)
                padded[model.interior] = p.reshape(*model.shape, -1)
                out.append(np.multiply.outer(q, padded).reshape(-1, w.shape[1]))
            return np.concatenate(out)

        return each(extend, y)


def padded(model: Model, x: np.ndarray) -> np.ndarray:
    """Columns extended into the layer."""
    return np.pad(x, [*model.pad_widths, (0, 0)], mode="edge")


@cache
def _pad_matrix(n: int, a: int, b: int) -> sp.csr_matrix:
    return sp.csr_matrix(np.pad(np.eye(n), [(a, b), (0, 0)], mode="edge"))


def pad_matrix(model: Model) -> sp.csr_matrix:
    """What extends into the layer, as a matrix."""
    P = sp.eye(1)
    for n, (a, b) in zip(model.shape, model.pad_widths, strict=True):
        P = sp.kron(P, _pad_matrix(n, a, b))
    return P.tocsr()


class Wave(Node):
    """A"""

    def __init__(self, op, text, model):
        super().__init__(op, text, model)
        self.inp = self.out = Space("wavefields", (1,) * op.nsrc, op.nt)
        self.nt = op.nt

    def solved(self, x, where, march):
        model = where.model(self.model)
        cells = int(np.prod(model.padded_shape))
        change = each(lambda v: padded(model, v).reshape(cells, -1), where.change(self.model))
        n = len(where.sizes(self.inp, self.model))
        result: Jet = {}
        shape = {k: v.shape for k, v in x.items()}
        columns = max([s[1] for s in shape.values()] + [v.shape[1] for v in change.values()])

        def axes(v):
            v = v.reshape(n, self.nt, cells, -1).transpose(1, 2, 0, 3)
            return np.broadcast_to(v, (*v.shape[:3], columns)) if v.shape[3] == 1 else v

        masks = {a | b for a in x for b in [0, *_sums(change)] if not a & b}
        for mask in sorted(masks, key=lambda k: (k.bit_count(), k)):
            s = axes(x[mask]) if mask in x else 0
            for part, dm in change.items():
                if part & mask == part and mask ^ part in result:
                    s = s - second_difference(result[mask ^ part], model.dt) * dm[None, :, None, :]
            if not np.isscalar(s):
                result[mask] = march(model, np.ascontiguousarray(s).reshape(self.nt, cells, -1)).reshape(s.shape)
        return each(lambda v: v.transpose(2, 0, 1, 3).reshape(-1, v.shape[3]), result)

    def dot(self, x, where):
        return self.solved(x, where, marched)

    def tdot(self, y, where):
        return self.solved(y, where, marched_back)


def _sums(change: Jet) -> set[int]:
    """All perturbations that products of some have."""
    found: set[int] = set()
    for k in change:
        found |= {k} | {k | other for other in found if not k & other}
    return found


class Image(Node):
    """S: the image in the background of node @ x; the condition is one of seisops.operators.conditions."""

    def __init__(self, op, text, model, node: Node, x, condition):
        super().__init__(op, text, model, node)
        self.x, self.condition = np.array(x), condition
        self.nt = node.out.nt
        self.inp, self.kind = node.out, condition.symbol
        self.cells = range(-condition.cells, condition.cells + 1) if self.kind == "Sh" else [0]
        self.axis = condition.axis if self.kind == "Sh" else 0
        self.out = Space("image", (len(self.cells),))

    def background(self, where):
        model, node = where.model(self.model), self.children[0]
        u = node.dot(node.given(self.x, where), where)
        n = len(where.sizes(self.inp, self.model))
        u = each(lambda v: v.reshape(n, self.nt, *model.padded_shape, -1), u)
        if self.kind == "C":
            return u
        return each(lambda v: second_difference(v.swapaxes(0, 1), model.dt).swapaxes(0, 1), u)

    def dot(self, x, where):
        model = where.model(self.model)
        g, P = self.background(where), pad_matrix(model)
        n = len(where.sizes(self.inp, self.model))
        u = each(lambda v: v.reshape(n, self.nt, *model.padded_shape, -1), x)

        def image(g, u):
            found = []
            for h in self.cells:
                # At x stands g(x - h) u(x + h).
                both = moved(g, h, self.axis + 2) * moved(u, -h, self.axis + 2)
                found.append(-(P.T @ both.sum(axis=(0, 1)).reshape(P.shape[0], -1)))
            return np.concatenate(found)

        return times(g, u, image)

    def tdot(self, y, where):
        model = where.model(self.model)
        g, P = self.background(where), pad_matrix(model)

        def scatter(g, dm):
            total = 0
            for h, part in zip(self.cells, np.split(dm, len(self.cells)), strict=True):
                spread = (P @ part).reshape(1, 1, *model.padded_shape, -1)
                total = total - moved(spread * moved(g, h, self.axis + 2), h, self.axis + 2)
            return total.reshape(-1, total.shape[-1])

        return times(g, y, scatter)


def moved(x: np.ndarray, cells: int, axis: int) -> np.ndarray:
    """y(x) = x(x - cells), zero where nothing comes from."""
    if not cells:
        return x
    rolled = np.roll(x, cells, axis)
    lost = [slice(None)] * x.ndim
    lost[axis] = slice(0, cells) if cells > 0 else slice(cells, None)
    rolled[tuple(lost)] = 0
    return rolled


class Virtual(Node):
    """V: what a wavefield radiates from a constant perturbation."""

    def __init__(self, op, text, model, geometry, dm):
        super().__init__(op, text, model)
        self.dm, self.nt = np.array(dm, float), op.nt
        self.inp = self.out = Space("wavefields", (1,) * geometry.nsrc, op.nt)

    def dot(self, x, where):
        model = where.model(self.model)
        dm = self.dm.reshape(self.model.shape)
        dm = padded(model, (dm if where.window is None else dm[where.window])[..., None])

        def radiate(u):
            n = len(where.sizes(self.inp, self.model))
            g = second_difference(u.reshape(n, self.nt, *model.padded_shape, -1).swapaxes(0, 1), model.dt)
            return -(dm * g).swapaxes(0, 1).reshape(u.shape)

        return each(radiate, x)

    tdot = dot


class OnGrid(Node):
    """The Laplacian, or a multiplication by m or by given weights."""

    def __init__(self, op, text, model, kind, z=None):
        super().__init__(op, text, model)
        self.kind, self.z = kind, None if z is None else np.array(z, float)
        self.inp = self.out = Space("image", (1,))

    def dot(self, x, where):
        model = where.model(self.model)
        if self.kind == "laplacian":
            weights = second_derivative_weights(model.space_order)
            k = range(-(len(weights) // 2), len(weights) // 2 + 1)
            total = 0
            for axis, (n, d) in enumerate(zip(model.shape, model.spacing, strict=True)):
                M = banded(dict(zip(k, (weights / d**2).tolist(), strict=True)), n, False)
                left, right = int(np.prod(model.shape[:axis])), int(np.prod(model.shape[axis + 1 :]))
                total = total + sp.kron(sp.kron(sp.eye(left), M), sp.eye(right)).tocsr()
            return each(lambda v: total @ v, x)
        if self.kind == "weights":
            z = self.z.reshape(self.model.shape)
            z = (z if where.window is None else z[where.window]).reshape(-1, 1)
            return each(lambda v: z * v, x)
        m = {0: model.m.astype(float).reshape(-1, 1)} | each(
            lambda v: v.reshape(model.m.size, -1), where.change(self.model)
        )
        return times(m, x)

    tdot = dot


class ShotByShot(Node):
    """A matrix for every shot's record."""

    def __init__(self, op, text, model):
        super().__init__(op, text, model)
        g = op.geometry
        self.inp = self.out = Space("data", tuple(n * g.nt for n in g.counts))
        parts = [op.shot(i) for i in range(g.nsrc)]
        self.matrices = [np.stack([P.matvec(c).real for c in np.eye(P.shape[1])], axis=1) for P in parts]

    def dot(self, x, where, transpose=False):
        shots = range(len(self.matrices)) if where.shots is None else where.shots

        def each_shot(v):
            parts = where.split(self.inp, self.model, v)
            return np.concatenate(
                [(self.matrices[i].T if transpose else self.matrices[i]) @ p for i, p in zip(shots, parts, strict=True)]
            )

        return each(each_shot, x)

    def tdot(self, y, where):
        return self.dot(y, where, transpose=True)


class Foreign(Node):
    """An operator of PyLops' own, by its own product."""

    def __init__(self, op, text, model):
        super().__init__(op, text, model)
        self.inp, self.out = Space("flat", (op.shape[1],)), Space("flat", (op.shape[0],))

    def columns(self, product, v):
        # Some real operators of PyLops' drop imaginary parts.
        if np.iscomplexobj(v) and not np.issubdtype(self.op.dtype, np.complexfloating):
            return self.columns(product, v.real) + 1j * self.columns(product, v.imag)
        return np.stack([product(c) for c in v.T], axis=1)

    def dot(self, x, where):
        return each(lambda v: self.columns(self.op.matvec, v), x)

    def tdot(self, y, where):
        return each(lambda v: self.columns(self.op.rmatvec, v.conj()).conj(), y)


class Product(Node):
    """a @ b"""

    def __init__(self, op, text, a, b):
        super().__init__(op, text, a.model, a, b)
        self.inp, self.out = b.inp, a.out

    def dot(self, x, where):
        for f in reversed(self.children):
            x = f.dot(x, where)
        return x

    def tdot(self, y, where):
        for f in self.children:
            y = f.tdot(y, where)
        return y


class Sum(Node):
    """a + s b"""

    def __init__(self, op, text, a, b, scale=1):
        super().__init__(op, text, a.model, a, b)
        shots = next((c for c in (a, b) if "flat" not in (c.inp.kind, c.out.kind)), a)
        self.inp, self.out, self.scale = shots.inp, shots.out, scale

    def dot(self, x, where):
        a, b = self.children
        return plus(a.dot(x, where), each(lambda v: self.scale * v, b.dot(x, where)))

    def tdot(self, y, where):
        a, b = self.children
        return plus(a.tdot(y, where), each(lambda v: self.scale * v, b.tdot(y, where)))


class Scaled(Node):
    """c a"""

    def __init__(self, op, text, a, scale):
        super().__init__(op, text, a.model, a)
        self.inp, self.out, self.scale = a.inp, a.out, scale

    def dot(self, x, where):
        return each(lambda v: self.scale * v, self.children[0].dot(x, where))

    def tdot(self, y, where):
        return each(lambda v: self.scale * v, self.children[0].tdot(y, where))


class Turned(Node):
    """a.H, a.T or a.conj()"""

    def __init__(self, op, text, a, how):
        super().__init__(op, text, a.model, a)
        self.how = how
        self.inp, self.out = (a.inp, a.out) if how == "conj" else (a.out, a.inp)

    def dot(self, x, where, back=False):
        a = self.children[0]
        product = a.dot if (self.how == "conj") != back else a.tdot
        if self.how == "T":
            return product(x, where)
        return each(np.conj, product(each(np.conj, x), where))

    def tdot(self, y, where):
        return self.dot(y, where, back=True)


class Same(Node):
    """The same by other means: configured, pickled, composed."""

    def __init__(self, op, text, a):
        super().__init__(op, text, a.model, a)
        self.inp, self.out = a.inp, a.out

    def dot(self, x, where):
        return self.children[0].dot(x, where)

    def tdot(self, y, where):
        return self.children[0].tdot(y, where)


class At(Same):
    """In another model, unless what holds it is in another one still."""

    def __init__(self, op, text, a, m):
        super().__init__(op, text, a)
        self.m = np.array(m)

    def there(self, where):
        return where if where.m is not None else replace(where, m=self.m)

    def dot(self, x, where):
        return self.children[0].dot(x, self.there(where))

    def tdot(self, y, where):
        return self.children[0].tdot(y, self.there(where))


class Shots(Node):
    """a[index]"""

    def __init__(self, op, text, a, chosen):
        super().__init__(op, text, a.model, a)
        self.chosen = tuple(chosen)

        def part(space):
            if space.kind in ("image", "flat"):
                return space
            return replace(space, counts=tuple(space.counts[i] for i in self.chosen))

        self.inp, self.out = part(a.inp), part(a.out)

    def there(self, where):
        chosen = self.chosen if where.shots is None else tuple(self.chosen[i] for i in where.shots)
        return replace(where, shots=chosen)

    def points(self, i):
        yield from self.children[0].points(self.chosen[i])

    def dot(self, x, where):
        return self.children[0].dot(x, self.there(where))

    def tdot(self, y, where):
        return self.children[0].tdot(y, self.there(where))


class Aperture(Node):
    """Each shot on its window."""

    def __init__(self, op, text, a, nsrc, buffer):
        super().__init__(op, text, a.model, a)
        self.inp, self.out, self.nsrc = a.inp, a.out, nsrc
        self.slices = [windows.around(a.model, np.concatenate(list(a.points(i))), buffer) for i in range(nsrc)]

    def dot(self, x, where, transpose=False):
        a = self.children[0]
        inp, out = (self.out, self.inp) if transpose else (self.inp, self.out)
        shots = tuple(range(self.nsrc)) if where.shots is None else where.shots
        found = []
        for i in shots:
            window = self.slices[i]
            if where.window is not None:
                window = tuple(
                    slice(max(s.start, t.start), min(s.stop, t.stop)) for s, t in zip(window, where.window, strict=True)
                )
            here, there = replace(where, shots=(i,), window=window), replace(where, shots=shots)
            mine = each(lambda v, h=here, t=there: taken(inp, self.model, v, t, h), x)
            y = (a.tdot if transpose else a.dot)(mine, here)
            found.append(each(lambda v, h=here, t=there: embedded(out, self.model, v, t, h), y))
        if out.kind == "image":
            return plus(*found)
        return {k: np.concatenate([f[k] for f in found]) for k in found[0]}

    def tdot(self, y, where):
        return self.dot(y, where, transpose=True)


class Derivative(Node):
    """dm -> d(a(m) @ x): by definition."""

    def __init__(self, op, text, a, x):
        super().__init__(op, text, a.model, a)
        self.x, self.inp, self.out = np.array(x, float), Space("image", (1,)), a.out

    def dot(self, x, where):
        if any(np.iscomplexobj(v) for v in x.values()):
            # The model is real.
            parts = [self.dot(each(part, x), where) for part in (np.real, np.imag)]
            return plus(parts[0], each(lambda v: 1j * v, parts[1]))
        a, there = self.children[0], where.perturbed(self.model, x)
        bit = 1 << where.bits
        y = a.dot(a.given(self.x, there), there)
        columns = max([v.shape[1] for v in x.values()] + [where.columns()])
        found = {k ^ bit: v for k, v in y.items() if k & bit}
        some = next(iter(y.values()))
        return found or {0: np.zeros((len(some), columns))}

    def tdot(self, y, where):
        k = where.columns()
        if k > 1:
            parts = [
                self.tdot(each(lambda v, j=j: v[:, [min(j, v.shape[1] - 1)]], y), where.column(j)) for j in range(k)
            ]
            return {b: np.concatenate([p[b] for p in parts], axis=1) for b in parts[0]}
        n = where.model(self.model).m.size
        matrix = self.dot({0: np.eye(n)}, where)
        return times(matrix, y, lambda J, v: J.T @ v)


class Stack(Node):
    """pylops.VStack, HStack or BlockDiag."""

    def __init__(self, op, text, how, parts):
        super().__init__(op, text, parts[0].model, *parts)
        self.how = how
        first = parts[0]
        self.inp = first.inp if how == "V" else Space("flat", (op.shape[1],))
        self.out = first.out if how == "H" else Space("flat", (op.shape[0],))

    def blocks(self, x, where, transpose):
        splits = self.how == "D" or (self.how == "V") == transpose
        joins = self.how == "D" or not splits
        sizes = [c.op.shape[0 if transpose else 1] for c in self.children]
        cuts = np.cumsum(sizes)[:-1]
        pieces = [each(lambda v, i=i: np.split(v, cuts)[i], x) if splits else x for i in range(len(sizes))]
        found = [(c.tdot if transpose else c.dot)(p, where) for c, p in zip(self.children, pieces, strict=True)]
        if not joins:
            return plus(*found)
        keys, columns = {k for f in found for k in f}, max(v.shape[1] for f in found for v in f.values())
        tall = [next(iter(f.values())).shape[0] for f in found]
        return {
            k: np.concatenate(
                [
                    np.broadcast_to(f[k], (n, columns)) if k in f else np.zeros((n, columns))
                    for f, n in zip(found, tall, strict=True)
                ]
            )
            for k in keys
        }

    def dot(self, x, where):
        return self.blocks(x, where, False)

    def tdot(self, y, where):
        return self.blocks(y, where, True)
