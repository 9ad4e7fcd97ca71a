"""Try random expressions of the algebra: ``python tests/fuzz_expressions.py --minutes 120 --seed 0``.

An expression is grown from the leaves of a small world by the operations of the algebra. Whatever the library makes of
it is compared with what ``fuzz_oracle.py`` says it should be, law by law; what the library refuses in words of its own
is counted by its message. The expressions run in a process of their own, which may die. The seed of a finding gives it
again: ``--seed 123 --count 1``.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import active_children, get_context

import fuzz_oracle as oracle
import numpy as np
import pylops
from fuzz_oracle import Node, Turned, Where, hdot

import seisops as so
from seisops import conditions, storage
from seisops.algebra import SeismicOperator
from seisops.arrays import number
from seisops.imaging import window as windows

# An index error is one of shots that do not exist.
REFUSALS = (ValueError, TypeError, NotImplementedError, IndexError)
# Windows of apertures as small as the models here.
windows.ROUNDING = 2
# What the order of sums and the products of a few operators may change; second derivatives of long products included.
DOT = {"float64": 1e-12, "float32": 2e-5}
EXACT = {"float64": 1e-9, "float32": 3e-3}
# Rounded to eight bits at every step, once or twice in a product.
HALF = 5e-2
SILENT = 900

# Few structures, since each has kernels of its own: shape, layer, order, surface, precision.
STRUCTURES = (
    ((9, 8), 3, 4, False, "float64"),
    ((9, 10), 2, 8, True, "float64"),
    ((9, 8), 0, 2, False, "float64"),
    ((9, 8), 3, 4, False, "float32"),
    ((14, 9), 4, 6, False, "float64"),
    ((5, 6, 5), 1, 2, False, "float64"),
)
OFTEN = (0.4, 0.15, 0.15, 0.1, 0.15, 0.05)


class Refused(Exception):
    """What the library refuses."""


def rel(got, expected) -> float:
    """How far apart two arrays are, against the second."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.size != expected.size or not np.all(np.isfinite(got)):
        return float("inf")
    got, expected = got.reshape(-1), expected.reshape(-1)
    scale = np.linalg.norm(expected)
    return float(np.linalg.norm(got - expected) / (scale if scale > 1e-12 else 1))


class World:
    """A random earth and survey, and the leaves of expressions on them."""

    def __init__(self, rng: np.random.Generator, structure: int) -> None:
        shape, absorb, order, surface, dtype = STRUCTURES[structure]
        self.rng, self.mine = rng, []
        self.model = so.Model(
            v=rng.uniform(1.5, 2.5, shape), spacing=(10.0, 12.0, 11.0)[: len(shape)], absorb=absorb, space_order=order,
            free_surface=surface, vmax=3.0, dtype=dtype, origin=(3.0, -7.0, 1.0)[: len(shape)],
        )  # fmt: skip
        self.dtype, self.t = dtype, 24.0
        # A ragged survey, or one of three shots, now and then.
        self.nsrc = int(rng.choice([1, 2, 2, 2, 3]))
        self.dt = float(rng.choice([2.0, 3.0]))
        # Surveys that do not span the model have windows that do not either.
        self.spread = float(rng.choice([1.0, 0.2]))
        self.middle = rng.uniform(0, 1, (self.nsrc, len(shape) - 1))
        self.rec = self.geometry(rng.integers(1, 4))
        self.src = self.geometry(1)
        self.ragged = self.geometry([int(rng.integers(1, 4)) for _ in range(self.nsrc)])

    def geometry(self, n) -> so.Geometry:
        """Points anywhere, in corners and on nodes among them."""
        low, high = np.array(self.model.extent).T
        spacing, rng = np.array(self.model.spacing), self.rng
        positions, on_nodes = [], rng.uniform() < 0.3
        for middle, k in zip(self.middle, np.broadcast_to(n, self.nsrc), strict=True):
            x = rng.uniform(0.001, 0.999, (k, len(low)))
            x = np.where(rng.uniform(size=x.shape) < 0.15, np.rint(x), x)
            x[:, :-1] = middle + self.spread * (x[:, :-1] - middle)
            x = low + x * (high - low)
            x = low + np.rint((x - low) / spacing) * spacing if on_nodes else x
            if self.model.free_surface:
                x[:, -1] = np.maximum(x[:, -1], low[-1] + spacing[-1] * (1 if on_nodes else 0.5))
            positions.append(x)
        given = [self.give(x) for x in positions]
        return so.Geometry(given, dt=self.dt, t=self.t)

    def give(self, x: np.ndarray) -> np.ndarray:
        """An array of the user's, who changes it before it is used."""
        x = np.array(x)
        self.mine.append(x)
        return x

    def change_the_users_arrays(self) -> None:
        for x in self.mine:
            x[...] = self.rng.standard_normal(x.shape) * 10 + 100

    def normal(self, *shape) -> np.ndarray:
        return self.rng.standard_normal(shape)

    def one_of(self, *things):
        return things[self.rng.integers(len(things))]

    def scalar(self):
        """Real, integer or complex, of Python's or NumPy's."""
        a, b = np.round(self.rng.uniform(0.3, 2, 2) * self.rng.choice([-1, 1], 2), 3).tolist()
        return self.one_of(a, a, -1, 2, np.float32(a), np.int8(17), a + b * 1j, 1j, np.float64(a))

    # ------------------------------------------------------------------ leaves

    def A(self) -> Node:
        return oracle.Wave(so.Modeling(self.model, self.rec), "A", self.model)

    def Pr(self) -> Node:
        name = self.one_of("rec", "rec", "src", "ragged", "another")
        g = self.geometry(self.rng.integers(1, 3)) if name == "another" else getattr(self, name)
        kind = self.one_of("sinc", "sinc", "linear")
        return oracle.Points(
            so.Projection(self.model, g, interpolation=kind), f"Pr({name}{', linear' * (kind != 'sinc')})", self.model
        )

    def Pw(self) -> Node:
        q = self.normal(*self.one_of((self.rec.nt,), (self.nsrc, self.rec.nt)))
        return oracle.Wavelet(so.LRWF(self.model, self.rec, self.give(q)), "Pw", self.model, q)

    def sampler(self) -> Node:
        return self.Pr() if self.rng.uniform() < 0.65 else self.Pw()

    def S(self) -> Node:
        """The image in the wavefield of sources."""
        background = product(self.A(), turned(self.sampler(), "H"))
        n = self.model.shape[0]
        condition = self.one_of(
            conditions.AdjointState(), conditions.AdjointState(), conditions.Correlation(),
            conditions.SubsurfaceOffsets(min(1, (n - 1) // 2), 0),
        )  # fmt: skip
        x = self.normal(*background.op.dims)
        op = so.Scattering(self.model, self.rec, background.op, self.give(x), condition=condition)
        return oracle.Image(
            op, f"Scattering({background.text}, x, {condition.symbol})", self.model, background, x, condition
        )

    def V(self) -> Node:
        dm = 0.1 * self.normal(*self.model.shape)
        op = so.VirtualSource(self.model, self.rec, None, self.give(dm))
        return oracle.Virtual(op, "VirtualSource(dm)", self.model, self.rec, dm)

    def grid(self) -> Node:
        """From images to images."""
        kind = self.one_of("laplacian", "m", "weights")
        if kind == "laplacian":
            return oracle.OnGrid(so.imaging.laplacian(self.model), "L", self.model, kind)
        z = None if kind == "m" else self.normal(*self.model.shape)
        op = so.imaging.Weighting(self.model, None, None if z is None else self.give(z))
        return oracle.OnGrid(op, f"Weighting({kind})", self.model, kind, z)

    def records(self, op: Node) -> Node | None:
        """On the records `op` gives, shot by shot."""
        P = so.preconditioners
        g = geometry_of(op)
        if g is None:
            return None
        name, made = self.one_of(
            ("gain", lambda: P.gain(g, 1.5, dtype=self.dtype)),
            ("time_derivative", lambda: P.time_derivative(g, 0.5, dtype=self.dtype)),
            ("mute", lambda: P.reflection_mute(g, self.src, velocity=3.0, t0=5.0, taper=8.0, dtype=self.dtype)),
        )
        return oracle.ShotByShot(made(), name, self.model)

    def foreign(self, dims: tuple[int, ...], *, square: bool = False) -> Node:
        """An operator of PyLops' own on arrays of some shape, which it may know or not."""
        n, rng = int(np.prod(dims)), self.rng
        shaped = rng.uniform() < 0.5
        d = dims if shaped else (n,)
        kinds = ["diagonal", "diagonal", "complex diagonal", "difference", "identity"]
        kinds += [] if square or n > 3000 else ["restriction", "restriction.H"]
        kinds += ["matrix"] if n <= 300 else []
        kind, dtype = self.one_of(*kinds), self.dtype
        if kind == "diagonal":
            op = pylops.Diagonal(self.normal(*d).astype(dtype), dtype=dtype) if shaped else pylops.Diagonal(
                self.normal(n).astype(dtype), dtype=dtype)  # fmt: skip
        elif kind == "complex diagonal":
            op = pylops.Diagonal(self.normal(*d) + 1j * self.normal(*d), dtype="complex128")
        elif kind == "difference":
            op = pylops.FirstDerivative(d, axis=-1, kind=self.one_of("forward", "centered"), dtype=dtype)
        elif kind == "identity":
            op = pylops.Identity(n, dtype=dtype)
        elif kind.startswith("restriction"):
            some = np.sort(rng.choice(n, max(1, n // 2), replace=False))
            op = pylops.Restriction(n, some, dtype=dtype)
            if kind.endswith("H"):
                more = 2 * n
                op = pylops.Restriction(more, np.sort(rng.choice(more, n, replace=False)), dtype=dtype).H
        else:
            rows = n if square else int(rng.choice([n, max(1, n // 2), 3]))
            M = self.normal(rows, n) / np.sqrt(n)
            op = pylops.MatrixMult(M.astype(dtype), dtype=dtype)
        if rng.uniform() < 0.15:
            op = float(np.round(rng.uniform(0.5, 2), 2)) * op
        if square and rng.uniform() < 0.2:
            op = op.H
        return oracle.Foreign(op, f"{kind}({'x'.join(map(str, op.dims))})", self.model)


# ---------------------------------------------------------------------- operations


def product(a: Node, b: Node, *, outside: bool = False) -> Node:
    """a @ b, by the library or by PyLops with its product read through."""
    if outside:
        return oracle.Product(so.compose(a.op @ b.op), f"compose({a.text} @ {b.text})", a, b)
    return oracle.Product(a.op @ b.op, f"({a.text} @ {b.text})", a, b)


def turned(a: Node, how: str) -> Node:
    op = {"H": lambda: a.op.H, "T": lambda: a.op.T, "conj": lambda: a.op.conj()}[how]()
    return Turned(so.compose(op), f"{a.text}.{how}{'()' if how == 'conj' else ''}", a, how)


def chain(w: World) -> Node:
    """What the table of products has, with foreign factors anywhere."""
    left = w.one_of(w.Pr, w.Pr, w.Pr, w.Pw, w.S, lambda: None)()
    right = w.one_of(w.Pr, w.Pr, w.Pw, w.Pw, w.S, lambda: None)()
    wave = w.A()
    if w.rng.uniform() < 0.2:
        wave = turned(wave, "H")
    factors = [left, wave, None if right is None else turned(right, "H")]
    factors = [f for f in factors if f is not None]
    if w.rng.uniform() < 0.1:
        factors.insert(int(w.rng.integers(len(factors))), wave)
    if w.rng.uniform() < 0.1:
        factors.insert(factors.index(wave) + int(w.rng.integers(2)), w.V())
    result = None
    for f in reversed(factors):
        if w.rng.uniform() < 0.15:
            inside = w.foreign(f.op.dims, square=True) if result is None else w.foreign(result.op.dimsd, square=True)
            result = inside if result is None else product(inside, result, outside=w.rng.uniform() < 0.5)
        result = f if result is None else product(f, result, outside=not isinstance(f.op, SeismicOperator))
    return result


def modelling(w: World) -> Node:
    """Pr A Ps.H or Pr A Pw.H."""
    right = turned(w.sampler(), "H")
    return product(w.Pr(), product(w.A(), right))


def encoded(w: World) -> Node:
    """W @ F, or with what encodes records or sources."""
    Pr = oracle.Points(so.Projection(w.model, same_receivers(w)), "Pr(same)", w.model)
    kind = w.one_of("sinc", "linear")
    Ps = oracle.Points(so.Projection(w.model, w.src, interpolation=kind), f"Ps({kind})", w.model)
    F = product(Pr, product(w.A(), turned(Ps, "H")))
    weights = w.normal(int(w.rng.integers(1, 3)), w.nsrc)
    W = so.Encoding(w.give(weights))
    n, src, rec = len(weights), w.src, Pr.geometry
    op = W @ F.op
    receivers = so.Geometry([rec.positions[0]] * n, dt=rec.dt, t=rec.t)
    sources = so.Geometry([np.concatenate(src.positions)] * n, dt=src.dt, t=src.t)
    parts = (
        oracle.Points(so.Projection(w.model, receivers), "", w.model),
        oracle.Wave(so.Modeling(w.model, receivers), "", w.model),
        turned(oracle.Points(so.Projection(w.model, sources, interpolation=kind), "", w.model), "H"),
    )
    whole = oracle.Product(op, f"(W @ {F.text})", parts[0], oracle.Product(None, "", parts[1], parts[2]))
    whole.children = (parts[0], parts[1], parts[2])
    what = w.one_of("F", "sources", "records")
    if what == "F":
        return whole
    if what == "records":
        E = oracle.Foreign(W.records(F.op), "W.records(F)", w.model)
        E.dot = lambda x, where: oracle.each(
            lambda v: np.tensordot(weights, v.reshape(w.nsrc, -1, v.shape[1]), 1).reshape(-1, v.shape[1]), x
        )
        E.tdot = lambda y, where: oracle.each(
            lambda v: np.tensordot(weights.T, v.reshape(n, -1, v.shape[1]), 1).reshape(-1, v.shape[1]), y
        )
        return product(E, F, outside=True)
    E = oracle.Foreign(W.sources(F.op), "W.sources(F)", w.model)
    spread = np.repeat(weights, src.counts, axis=1)

    def dot(x, where):
        return oracle.each(
            lambda v: (spread[:, :, None, None] * v.reshape(1, -1, src.nt, v.shape[1])).reshape(-1, v.shape[1]), x
        )

    def tdot(y, where):
        return oracle.each(
            lambda v: (spread[:, :, None, None] * v.reshape(*spread.shape, src.nt, -1)).sum(0).reshape(-1, v.shape[1]),
            y,
        )

    E.dot, E.tdot = dot, tdot
    return product(whole, E)


def same_receivers(w: World) -> so.Geometry:
    x = np.array(w.rec.positions[0])
    return so.Geometry([x] * w.nsrc, dt=w.rec.dt, t=w.rec.t)


def at_another(w: World, a: Node) -> Node:
    m = np.array(w.model.m * w.rng.uniform(0.9, 1.1, w.model.shape), w.dtype)
    m = np.maximum(m, np.array(1 / 2.9**2, w.dtype))
    return oracle.At(a.op.at(m=w.give(m)), f"{a.text}.at(m=m)", a, m)


def jacobian(w: World, a: Node) -> Node:
    x = w.normal(*a.op.dims)
    given = w.give(x if w.rng.uniform() < 0.7 else x.ravel())
    if w.rng.uniform() < 0.2:
        given = given.astype(np.float32)
        x = given.astype(float)
    if w.rng.uniform() < 0.1:
        given = w.give(np.rint(given).astype(int))
        x = given.astype(float)
    # A stack of PyLops' own may be one of them, whose derivative is a function's to find.
    how = w.one_of("method", "function", "linearize") if isinstance(a.op, SeismicOperator) else "function"
    kept = w.one_of(None, None, storage.Memory(), storage.Disk(tempfile.gettempdir()), storage.Checkpointed(2))

    def made():
        if how == "method":
            return a.op.jacobian(given)
        return so.Jacobian(a.op, given) if how == "function" else a.op.linearize(given).J

    if a.op.dtype == np.float32:
        x = x.astype(np.float32)
    node = oracle.Derivative(None, f"{a.text}.jacobian(x)", a, x.reshape(-1))
    try:
        with so.config(**({} if kept is None else {"storage": kept})):
            node.op = made()
    except ValueError as error:
        if "does not depend on m" in str(error):
            dm = w.model.m * w.rng.uniform(0.1, 1, w.model.shape)
            size = np.linalg.norm(node.dot({0: dm.reshape(-1, 1)}, Where())[0])
            if size > 1e-9:
                raise AssertionError(f"refused a derivative of norm {size:.1e}: {error}") from error
        raise
    return node


def shots(w: World, a: Node) -> Node:
    n = a.op.nsrc
    index = w.one_of(0, n - 1, -1, [0], list(range(n))[::-1], slice(0, 1), slice(None, None, -1), np.array([n - 1]))
    chosen = np.atleast_1d(np.arange(n)[index]).tolist()
    return oracle.Shots(a.op[index], f"{a.text}[{index}]", a, chosen)


def aperture(w: World, a: Node) -> Node:
    buffer = float(w.one_of(0.0, 12.0, 25.0, 40.0))
    return oracle.Aperture(so.aperture(a.op, buffer), f"aperture({a.text}, {buffer})", a, a.op.nsrc, buffer)


def configured(w: World, a: Node) -> Node:
    settings = w.one_of(
        {"reproducible": True}, {"storage": storage.Disk(tempfile.gettempdir())}, {"storage": storage.Checkpointed(2)},
        {"executor": threads()}, {"storage": storage.Memory()},
    )  # fmt: skip
    words = ", ".join(f"{k}={type(v).__name__}" for k, v in settings.items())
    return oracle.Same(a.op.configured(**settings), f"{a.text}.configured({words})", a)


def imaged(w: World, a: Node) -> Node:
    """A condition of the Jacobian of modelling; it needs one, whatever it is given."""
    left, source = w.Pr(), w.sampler()
    background = product(w.A(), turned(source, "H"))
    F = product(left, background)
    x = w.normal(*F.op.dims)
    J = F.op.jacobian(w.give(x))
    A = w.A()

    def under(condition) -> Node:
        S = so.Scattering(w.model, w.rec, background.op, x, condition=condition)
        S = oracle.Image(S, condition.symbol, w.model, background, x, condition)
        return oracle.Product(None, "", left, oracle.Product(None, "", A, Turned(None, "", S, "H")))

    L = oracle.OnGrid(None, "L", w.model, "laplacian")
    inverse = oracle.Scaled(None, "", oracle.Product(None, "", under(conditions.Correlation()), L), 0.5)
    kind = w.one_of("inverse_scattering", "complement", "subsurface_offsets")
    if kind == "inverse_scattering":
        op, expected = so.imaging.inverse_scattering(J), inverse
    elif kind == "complement":
        m = oracle.OnGrid(None, "m", w.model, "m")
        adjoint_state = oracle.Product(None, "", under(conditions.AdjointState()), m)
        twice = oracle.Scaled(None, "", adjoint_state, 2)
        op, expected = so.imaging.complement(J), oracle.Sum(None, "", twice, inverse, -1)
    else:
        op, expected = so.imaging.subsurface_offsets(J, 1), under(conditions.SubsurfaceOffsets(1, 0))
    return oracle.Same(op, f"imaging.{kind}({F.text}.jacobian(x))", expected)


def partner(w: World, a: Node, depth: int = 1) -> Node:
    """Another operator of the same spaces."""
    kind = w.rng.integers(4) if isinstance(a.op, SeismicOperator) else w.rng.integers(1, 3)
    if kind == 0:
        return at_another(w, a)
    if kind == 1:
        return product(w.foreign(a.op.dimsd, square=True), a, outside=True)
    if kind == 2:
        return product(a, w.foreign(a.op.dims, square=True))
    return configured(w, a)


def added(w: World, a: Node) -> Node:
    b = partner(w, a)
    if (c := w.scalar()) != -1 and w.rng.uniform() < 0.5:
        return oracle.Sum(a.op + c * b.op, f"({a.text} + {c} * {b.text})", a, b, c)
    c = float(np.round(w.rng.uniform(0.3, 0.8), 3))
    return oracle.Sum(a.op - c * b.op, f"({a.text} - {c} * {b.text})", a, b, -c)


def scaled(w: World, a: Node) -> Node:
    c = w.scalar()
    kind = w.rng.integers(4)
    if kind == 0:
        return oracle.Scaled(a.op * c, f"({a.text} * {c})", a, c)
    if kind == 1:
        return oracle.Scaled(-a.op, f"(-{a.text})", a, -1)
    if kind == 2 and w.rng.uniform() < 0.3:
        return oracle.Scaled(so.compose(a.op / c), f"({a.text} / {c})", a, 1 / number(c))
    return oracle.Scaled(c * a.op, f"({c} * {a.text})", a, c)


def normal_equation(w: World, a: Node) -> Node:
    b = partner(w, a) if w.rng.uniform() < 0.5 else a
    if w.rng.uniform() < 0.5:
        return product(turned(a, "H"), b, outside=not isinstance(a.op, SeismicOperator))
    return product(a, turned(b, "H"))


def powered(w: World, a: Node) -> Node:
    if a.op.shape[0] != a.op.shape[1]:
        return normal_equation(w, a)
    return oracle.Product(so.compose(a.op**2), f"({a.text} ** 2)", a, a)


def behind(w: World, a: Node) -> Node:
    if w.rng.uniform() < 0.25 and a.out.kind == "data" and (P := w.records(a)) is not None:
        return product(P, a)
    if a.out.kind == "image" and a.out.counts == (1,) and w.rng.uniform() < 0.5:
        return product(w.grid(), a)
    return product(w.foreign(a.op.dimsd), a, outside=True)


def before(w: World, a: Node) -> Node:
    if a.inp.kind == "image" and a.inp.counts == (1,) and w.rng.uniform() < 0.5:
        return product(a, w.grid())
    return product(a, w.foreign(a.op.dims, square=True))


def stacked(w: World, a: Node) -> Node:
    b, how = partner(w, a), w.one_of("V", "H", "D")
    make = {"V": pylops.VStack, "H": pylops.HStack, "D": pylops.BlockDiag}[how]
    op = so.compose(make([a.op, b.op]))
    return oracle.Stack(op, f"{make.__name__}([{a.text}, {b.text}])", how, (a, b))


def pickled(w: World, a: Node) -> Node:
    return oracle.Same(pickle.loads(pickle.dumps(a.op)), f"pickled({a.text})", a)


def adjoined(w: World, a: Node) -> Node:
    return turned(a, w.one_of("H", "H", "T", "conj"))


OPERATIONS = (
    scaled, scaled, added, added, adjoined, adjoined, normal_equation, powered, behind, behind, before, before,
    jacobian, jacobian, jacobian, configured, at_another, shots, aperture, aperture, stacked, pickled,
)  # fmt: skip


def grow(w: World, tally: Counter) -> Node:
    """A random expression: a product, and up to five operations on it."""
    start = w.one_of(chain, chain, modelling, modelling, encoded, lambda w: imaged(w, None), lambda w: w.S())
    a = start(w)
    for _ in range(w.rng.integers(0, 6)):
        if derivatives(a) > 2:
            break
        operation = w.one_of(*OPERATIONS)
        if operation in (configured, at_another, shots) and not isinstance(a.op, SeismicOperator):
            continue
        if operation is jacobian and derivatives(a) > 1:
            continue
        try:
            with np.errstate(all="ignore"):
                a = operation(w, a)
        except REFUSALS as error:
            refused(error, tally)
    return a


def place(error: Exception) -> str:
    """Where in the library, or in this script, an error came about."""
    frames = traceback.extract_tb(error.__traceback__)
    frames = [f for f in frames if "/seisops/" in f.filename or "/fuzz_" in f.filename]
    return f"({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"


def geometry_of(node: Node) -> so.Geometry | None:
    """The survey whose records an expression gives."""
    points = (f.geometry for f in every(node) if isinstance(f, oracle.Points))
    return next((g for g in points if g.shape == tuple(node.op.dimsd)), None)


def derivatives(a: Node) -> int:
    """How many derivatives stand in one another; backgrounds and what is behind included, as they cost the same."""
    return max([derivatives(c) for c in a.children], default=0) + isinstance(a, oracle.Derivative)


def refused(error: Exception, tally: Counter) -> None:
    """Count a refusal by its message; one that is not in the library's own words is a finding."""
    raised = traceback.extract_tb(error.__traceback__)[-1].filename
    message = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, IndexError) and "shot" not in message.lower():
        raise AssertionError(f"refused in other words: {message} {place(error)}") from error
    if not ("/seisops/" in raised or "/pylops/" in raised):
        raise AssertionError(f"refused in other words: {message} {place(error)}") from error
    message = re.sub(r"[-+]?\d[\d.,e+-]*j?", "#", message)
    message = re.sub(r"(\([^()]*\) -> \([^()]*\)|Pr.*?: \(|\[.*?\])", "...", message)
    tally[message[:110]] += 1


# ---------------------------------------------------------------------- laws


@cache
def threads() -> ThreadPoolExecutor:
    return _Threads(2)


class _Threads(ThreadPoolExecutor):
    """Threads that a pickled operator finds again."""

    def __reduce__(self):
        return threads, ()


@cache
def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


class Trial:
    """An expression with inputs and what it should give for them."""

    def __init__(self, node: Node, rng: np.random.Generator) -> None:
        self.node, self.op, self.rng = node, node.op, rng
        op = self.op
        self.dtype = np.dtype("float32" if op.dtype in (np.float32, np.complex64) else "float64")
        self.dtype = np.dtype(node.model.dtype)
        self.exact, self.dots = EXACT[self.dtype.name], DOT[self.dtype.name]
        self.complex = np.issubdtype(op.dtype, np.complexfloating)
        self.dims, self.dimsd = tuple(op.dims), tuple(op.dimsd)
        self.x, self.y = self.vector(self.dims), self.vector(self.dimsd)

    def vector(self, dims) -> np.ndarray:
        return self.rng.standard_normal(dims).astype(self.dtype)

    def expected(self, x, where: Where | None = None) -> np.ndarray:
        x = np.asarray(x)
        wide = x.astype(np.result_type(x.dtype, np.float64)).reshape(-1, 1)
        return self.node.dot({0: wide}, where or Where())[0][:, 0]

    def expected_adjoint(self, y) -> np.ndarray | None:
        if derivatives(self.node) > 1:
            return None
        wide = np.asarray(y).astype(np.result_type(np.asarray(y).dtype, np.float64)).reshape(-1, 1)
        return hdot(self.node, {0: wide}, Where())[0][:, 0]

    @property
    def varies(self) -> bool:
        return isinstance(self.op, SeismicOperator)


def law_forward(t: Trial):
    """The product is that of the leaves."""
    yield rel(t.op @ t.x, t.expected(t.x)), t.exact


def law_adjoint(t: Trial):
    """So is the adjoint product."""
    if (expected := t.expected_adjoint(t.y)) is not None:
        yield rel(t.op.H @ t.y, expected), t.exact


def law_dot_test(t: Trial):
    """<op x, y> = <x, op.H y>."""
    x, y = t.x.ravel(), t.y.ravel()
    if t.complex:
        x, y = x + 1j * t.vector(x.shape), y + 1j * t.vector(y.shape)
    Ax, Ay = np.asarray(t.op.matvec(x), complex), np.asarray(t.op.rmatvec(y), complex)
    scale = max(np.linalg.norm(Ax) * np.linalg.norm(y), 1e-3 * np.linalg.norm(x) * np.linalg.norm(Ay), 1e-300)
    yield abs(np.vdot(Ax, y) - np.vdot(x, Ay)) / scale, t.dots


def law_unfused(t: Trial):
    """Factor by factor."""
    first = t.op @ t.x
    with so.no_fusion():
        yield rel(t.op @ t.x, first), t.exact / 100
        yield rel(t.op.H @ t.y, t.op.H @ t.y), t.exact


def law_inputs(t: Trial):
    """Shaped, flat, in columns, of other types; the input is left alone."""
    x, exact = t.x.copy(), t.exact / 10
    y = t.op @ x
    yield float(not np.array_equal(x, t.x)), 0
    flat = t.op @ x.ravel()
    yield rel(flat, y), exact
    if y.shape != t.dimsd and y.shape != (t.op.shape[0],):
        raise AssertionError(f"gave shape {y.shape}, not {t.dimsd}")
    X = np.stack([x.ravel(), 2 * x.ravel()], axis=1)
    yield rel(t.op.matmat(X), np.stack([np.ravel(y), 2 * np.ravel(y)], axis=1)), exact
    yield rel(t.op @ X, np.stack([np.ravel(y), 2 * np.ravel(y)], axis=1)), exact
    whole = np.rint(9 * x).astype(t.rng.choice(["int16", "int64", "int8"]))
    yield rel(t.op @ whole, t.op @ whole.astype(t.dtype)), exact
    yield rel(t.op @ (2 * (x > 0).astype(bool)), t.op @ (2 * (x > 0)).astype(t.dtype)), exact
    z = t.op @ (x + 1j * t.vector(t.dims))
    yield rel(z + np.conj(z) if not t.complex else y, 2 * y if not t.complex else y), exact
    half = x.astype(np.float16)
    yield rel(t.op @ half, t.op @ half.astype(t.dtype)), exact
    backwards = np.rint(9 * t.y).astype("int16")
    yield rel(t.op.H @ backwards, t.op.H @ backwards.astype(t.dtype)), exact


def law_complex_input(t: Trial):
    """Complex vectors, forwards and back, by the oracle."""
    if not isinstance(t.op, SeismicOperator):
        # Some real operators of PyLops' own, its blocks among them, drop imaginary parts.
        return
    z = t.x + 1j * t.vector(t.dims)
    yield rel(t.op @ z, t.expected(z)), t.exact
    s = t.y + 1j * t.vector(t.dimsd)
    left, right = np.vdot(np.ravel(t.op.H @ s), np.ravel(t.x)), np.vdot(np.ravel(s), np.ravel(t.expected(t.x)))
    yield abs(left - right) / np.linalg.norm(s) / max(np.linalg.norm(t.expected(t.x)), 1e-12), t.exact


def law_pickle(t: Trial):
    """The same after a journey."""
    again = pickle.loads(pickle.dumps(t.op))
    yield rel(again @ t.x, t.op @ t.x), t.exact / 100
    yield rel(again.H @ t.y, t.op.H @ t.y), t.exact / 100


def law_at(t: Trial):
    """In another model; and back."""
    if not t.varies or t.op.model is None:
        return
    m = t.node.model.m * t.rng.uniform(0.95, 1.05, t.node.model.shape).astype(t.dtype)
    m = np.maximum(m, 1 / 2.9**2).astype(t.dtype)
    there = t.op.at(m=m)
    yield rel(there @ t.x, t.expected(t.x, Where(m=m))), t.exact
    if not any(isinstance(n, oracle.At) for n in every(t.node)):
        yield rel(there.at(m=t.node.model.m) @ t.x, t.op @ t.x), t.exact / 100


def law_jacobian(t: Trial):
    """The derivative is the derivative; J.H is its adjoint; linearize gives the same three."""
    if not t.varies or t.op.model is None or derivatives(t.node) > 1:
        return
    node = oracle.Derivative(None, "", t.node, t.x)
    dm = (0.1 * t.node.model.m * t.rng.uniform(-1, 1, t.node.model.shape)).astype(t.dtype)
    expected = node.dot({0: dm.astype(float).reshape(-1, 1)}, Where())[0][:, 0]
    if np.linalg.norm(expected) < 1e-9 * np.linalg.norm(t.expected(t.x)):
        return
    try:
        J = t.op.jacobian(t.x if t.rng.uniform() < 0.5 else t.x.ravel())
    except ValueError as error:
        assert "does not depend on m" not in str(error), f"refused a derivative that is not zero: {error}"
        raise
    yield rel(J @ dm, expected), t.exact
    Jy = np.asarray(J.H @ t.y)
    scale = np.linalg.norm(expected) * np.linalg.norm(t.y)
    yield abs(np.vdot(Jy.ravel(), dm.ravel()) - np.vdot(t.y.ravel(), expected)) / scale, t.exact
    Jdm = np.asarray(J @ dm)
    yield abs(np.vdot(Jy.ravel(), dm.ravel()) - np.vdot(t.y.ravel(), Jdm.ravel())) / scale, t.dots
    yield rel(pickle.loads(pickle.dumps(J)) @ dm, expected), t.exact
    with so.no_fusion():
        yield rel(J @ dm, expected), t.exact
        yield rel(t.op.jacobian(t.x) @ dm, expected), t.exact


def law_linearize(t: Trial):
    """Value, J and pull of real, integer and complex cotangents are those of op, J and J.H."""
    if not t.varies or t.op.model is None or derivatives(t.node) > 1:
        return
    linear = t.op.linearize(t.x)
    yield rel(linear.value, t.op @ t.x), t.exact / 10
    try:
        J = t.op.jacobian(t.x)
    except ValueError:
        J = None
    if J is not None:
        dm = t.node.model.m * t.rng.uniform(-1, 1, t.node.model.shape)
        yield rel(linear.J @ dm, J @ dm), t.exact / 10
    for y in (t.y, np.rint(5 * t.y).astype(int), t.y + 1j * t.vector(t.dimsd)):
        gx, gm = t.op.linearize(t.x).pull(y)
        wide = y if np.iscomplexobj(y) else y.astype(t.dtype)
        yield rel(gx, t.op.H @ wide), t.exact / 10
        if J is not None:
            yield rel(gm, J.H @ wide), t.exact / 10


def law_shots(t: Trial):
    """op[index] is op of those shots."""
    if not t.varies or t.node.inp.kind == "flat" or t.node.out.kind == "flat":
        return
    n = t.op.nsrc
    index = [0, n - 1, [0], list(range(n))[::-1], slice(0, 1)][t.rng.integers(5)]
    chosen = np.atleast_1d(np.arange(n)[index]).tolist()
    part = t.op[index]
    node = oracle.Shots(part, "", t.node, chosen)
    x = t.op.shots_in(t.x, index)
    yield rel(part @ x, node.dot({0: np.asarray(x, float).reshape(-1, 1)}, Where())[0]), t.exact
    yield from law_dot_test(Trial(node, t.rng))


def law_executors(t: Trial):
    """Threads and processes give the same."""
    pool = processes() if t.rng.uniform() < 0.1 else threads()
    with so.config(executor=pool):
        yield rel(t.op @ t.x, t.expected(t.x)), t.exact
        dot, bound = next(law_dot_test(t))
        yield dot, bound


def law_storage(t: Trial):
    """However a background is kept J and J.H are adjoint; exact ones give the derivative, halves nearly."""
    if not t.varies or t.op.model is None or derivatives(t.node):
        return
    kinds = (storage.Memory(), storage.Disk(tempfile.gettempdir()), storage.Checkpointed(2), storage.Half(),
             storage.Subsampled(0.1), storage.Frequencies([0.01, 0.03]))  # fmt: skip
    kept = kinds[t.rng.integers(len(kinds))]
    node = oracle.Derivative(None, "", t.node, t.x)
    dm = (0.1 * t.node.model.m * t.rng.uniform(-1, 1, t.node.model.shape)).astype(t.dtype)
    expected = node.dot({0: dm.astype(float).reshape(-1, 1)}, Where())[0][:, 0]
    if np.linalg.norm(expected) < 1e-9 * np.linalg.norm(t.expected(t.x)):
        return
    with so.config(storage=kept):
        J = t.op.jacobian(t.x)
    Jdm, Jy = np.ravel(J @ dm), np.ravel(J.H @ t.y)
    scale = max(np.linalg.norm(Jdm), 1e-3 * np.linalg.norm(expected)) * np.linalg.norm(t.y)
    yield abs(np.vdot(Jy, dm.ravel()) - np.vdot(t.y.ravel(), Jdm)) / scale, t.dots
    if not isinstance(kept, (storage.Subsampled, storage.Frequencies)):
        yield rel(Jdm, expected), HALF if isinstance(kept, storage.Half) else t.exact


def law_objectives(t: Trial):
    """fwi and its Hessian, lsrtm, of records of any type, with a preconditioner: by their definitions."""
    if not t.varies or t.complex or t.op.model is None or derivatives(t.node) > 1:
        return
    rng, n = t.rng, t.op.shape[0]
    d = rng.standard_normal(t.dimsd)
    d = [d, np.rint(20 * d).astype("int16"), d.astype("float16"), d.astype("float32")][rng.integers(4)]
    P, M = None, np.eye(1)
    if rng.uniform() < 0.7:
        weights = rng.uniform(0.3, 2, n)
        P = [pylops.Diagonal(weights, dtype=t.dtype), pylops.Diagonal(weights.reshape(t.dimsd), dtype=t.dtype)][
            rng.integers(2)
        ]
        M = weights[:, None]
        g = geometry_of(t.node)
        if g is not None and rng.uniform() < 0.6:
            P = so.preconditioners.gain(g, 1.0, dtype=t.dtype)
            M = np.broadcast_to((g.time / g.time[-1]), t.dimsd).reshape(-1, 1) if not g.ragged else np.tile(
                g.time / g.time[-1], sum(g.counts))[:, None]  # fmt: skip
    residual = M * (t.expected(t.x).reshape(-1, 1) - np.asarray(d, float).reshape(-1, 1))
    value = 0.5 * float(np.sum(residual**2))
    dm = (0.1 * t.node.model.m * rng.uniform(-1, 1, t.node.model.shape)).astype(t.dtype)
    J = oracle.Derivative(None, "", t.node, t.x)
    Jdm = M * J.dot({0: dm.astype(float).reshape(-1, 1)}, Where())[0]
    if np.linalg.norm(Jdm) < 1e-9 * np.linalg.norm(t.expected(t.x)):
        return
    exact = max(t.exact, 1e-8)
    got, gradient = so.fwi(t.op, t.x, d, data_precon=P)
    yield abs(got - value) / value, exact
    scale = np.linalg.norm(Jdm) * np.linalg.norm(residual)
    yield abs(np.vdot(gradient.ravel(), dm.ravel()) - float(np.sum(Jdm * residual))) / scale, exact
    if derivatives(t.node):
        return
    H = so.hessian(t.op, t.x, d, data_precon=P)
    second = oracle.Derivative(None, "", J, dm.astype(float))
    other = (0.1 * t.node.model.m * rng.uniform(-1, 1, t.node.model.shape)).astype(t.dtype)
    column = {0: other.astype(float).reshape(-1, 1)}
    curved, Jother = M * second.dot(column, Where())[0], M * J.dot(column, Where())[0]
    expected = float(np.sum(Jdm * Jother) + np.sum(curved * residual))
    scale = np.linalg.norm(Jdm) * np.linalg.norm(Jother) + np.linalg.norm(curved) * np.linalg.norm(residual)
    yield abs(np.vdot(np.ravel(H @ dm), other.ravel()) - expected) / scale, exact


def law_lsrtm(t: Trial):
    """The misfit of linear data."""
    if t.complex:
        return
    d = np.rint(10 * t.y).astype("int32") if t.rng.uniform() < 0.5 else t.y
    residual = t.expected(t.x) - np.asarray(d, float).ravel()
    value, gradient = so.lsrtm(t.op, d, t.x)
    yield abs(value - 0.5 * residual @ residual) / max(0.5 * residual @ residual, 1e-12), max(t.exact, 1e-8)
    if (expected := t.expected_adjoint(residual)) is not None:
        yield rel(gradient, expected), max(t.exact, 1e-8)


LAWS = {name[4:]: law for name, law in list(globals().items()) if name.startswith("law_")}


def every(node: Node):
    """All nodes of an expression."""
    yield node
    for child in node.children:
        yield from every(child)


def broken(node: Node, name: str, seed: int) -> str | None:
    """What is wrong with an expression by a law."""
    try:
        with np.errstate(all="ignore"):
            for i, (error, bound) in enumerate(LAWS[name](Trial(node, np.random.default_rng([seed, 1])))):
                if not error <= bound:
                    return f"{name}[{i}] {error:.1e}"
    except oracle.Meaningless:
        # The law asked the oracle before it asked the library, which has to refuse the product.
        if name != "forward":
            return broken(node, "forward", seed)
        return f"{name} gave what has no meaning"
    except REFUSALS as error:
        try:
            refused(error, _refusals)
        except AssertionError as finding:
            return f"{name} {finding}"
    except Exception as error:
        return f"{name} {type(error).__name__}: {error} {place(error)}"
    return None


_refusals: Counter = Counter()


def smallest(node: Node, name: str, seed: int) -> Node:
    """The smallest part of an expression that breaks the same law."""
    for child in node.children:
        if child.op is not None and child.text and broken(child, name, seed):
            return smallest(child, name, seed)
    return node


def trial(seed: int) -> tuple[list[dict], Counter]:
    """The findings in one expression, and what was refused of it."""
    _refusals.clear()
    rng = np.random.default_rng([seed, 0])
    # Neighbours share their kernels.
    structure = int(np.random.default_rng([seed // 25, 2]).choice(len(STRUCTURES), p=OFTEN))
    world, where = World(rng, structure), f"structure {structure}"
    try:
        node = grow(world, _refusals)
    except REFUSALS as error:
        refused(error, _refusals)
        return [], _refusals
    except Exception as error:
        text = f"{type(error).__name__}: {error} {place(error)}"
        return [{"seed": seed, "law": "construction", "what": text, "where": where, "expression": ""}], _refusals
    if not isinstance(node.op, pylops.LinearOperator):
        return [], _refusals
    if rng.uniform() < 0.5:
        world.change_the_users_arrays()
    findings = []
    # Products first, and some of the other laws, so that time goes into expressions.
    names = ["forward", "adjoint", "dot_test"]
    names += rng.choice([n for n in LAWS if n not in names], 5, replace=False).tolist()
    for name in names:
        if what := broken(node, name, seed):
            least = smallest(node, name, seed)
            findings.append(
                {"seed": seed, "law": name, "what": broken(least, name, seed) or what, "where": where,
                 "expression": least.text, "whole": node.text}
            )  # fmt: skip
            if name == "forward":
                break
    return findings, _refusals


# ---------------------------------------------------------------------- running


def work(first: int, count: int, until: float) -> None:
    """Try expressions, each a line of JSON, until the time is up."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    for seed in range(first, first + count):
        if time.time() > until:
            break
        print(json.dumps({"begin": seed}), flush=True)
        findings, tally = trial(seed)
        print(json.dumps({"end": seed, "findings": findings, "refused": tally}), flush=True)
    # Its pool would hold on to the pipe, on which whoever listens would wait for ever.
    for child in active_children():
        child.kill()
    os._exit(0)


class Watched:
    """A process that tries expressions from a seed on; killed where it says nothing for long."""

    def __init__(self, first: int, count: int, until: float) -> None:
        numbers = {"--seed": first, "--count": count, "--until": until}
        command = [sys.executable, __file__, "--work", *(str(x) for pair in numbers.items() for x in pair)]
        # Who is killed while it compiles leaves a lock behind, on which others that share the folder wait for ever.
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        environment = os.environ | {"TMPDIR": self.folder.name}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.hung = False

    def lines(self):
        """What it says."""
        for line in self._watched():
            if line.startswith("{"):
                yield json.loads(line)

    def _watched(self):
        while True:
            timer = threading.Timer(SILENT, self._kill)
            timer.start()
            line = self.process.stdout.readline()
            timer.cancel()
            if not line:
                self.process.wait()
                return
            yield line

    def _kill(self) -> None:
        self.hung = True
        os.killpg(self.process.pid, signal.SIGKILL)


def run(first: int, count: int, until: float) -> int:
    """Try expressions until the time is up; returns how many findings there are."""
    tried, findings, refusals, laws = 0, 0, Counter(), Counter()
    seed, end = first, first + count
    while seed < end and time.time() < until:
        child, begun = Watched(seed, end - seed, until), None
        for line in child.lines():
            begun = line.get("begin")
            if "end" in line:
                tried, seed = tried + 1, line["end"] + 1
                refusals.update(line["refused"])
                for f in line["findings"]:
                    findings += 1
                    laws[f["law"]] += 1
                    print(f"FINDING seed {f['seed']} ({f['where']}): {f['what']}\n    {f['expression']}", flush=True)
        if begun is None and child.process.returncode == 0:
            break
        findings, tried, seed = findings + 1, tried + 1, (seed if begun is None else begun) + 1
        laws["survival"] += 1
        how = "said nothing for long" if child.hung else f"died with {child.process.returncode}"
        print(f"FINDING seed {seed - 1}: the process {how}", flush=True)
    print(f"\n{tried} expressions, {findings} findings, {sum(refusals.values())} refusals")
    for name, n in laws.most_common():
        print(f"{n:6} findings by {name}")
    for message, n in refusals.most_common():
        print(f"{n:6} refused: {message}")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.seed, args.count, args.until)
    else:
        sys.exit(bool(run(args.seed, args.count, time.time() + 60 * args.minutes)))


if __name__ == "__main__":
    main()
