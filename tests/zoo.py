"""The zoo: every operator and product of the library in a small world, for the laws to be tried on.

A new operator is one entry here and gets every law of ``test_laws.py``. Kernels depend on structure alone (not on the
grid, the survey or the time), so everything below is tiny and shares what has been compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from copy import copy
from functools import cache, lru_cache

import numpy as np
import pylops
import pytest

import seisops as so
from seisops.execution import pickles
from seisops.propagators.points import PointWeights

# What a dot test may leave: rounding of sums over about 1e5 products, in either precision.
DOT = {"float64": 1e-12, "float32": 1e-5}
# How far a fitted slope of a Taylor test may be from 1 and 2, over three decades.
SLOPE = 0.05
# What two orders of the same sums may differ by.
ROUNDING = 1e-12

KINDS = {
    "2d": {"shape": (25, 21), "spacing": (10.0, 12.0), "t": 120.0, "dtype": "float64"},
    "2d-float32": {"shape": (25, 21), "spacing": (10.0, 12.0), "t": 120.0, "dtype": "float32"},
    "surface": {"shape": (25, 21), "spacing": (10.0, 12.0), "t": 120.0, "dtype": "float64", "free_surface": True},
    "surface-float32": {
        "shape": (25, 21),
        "spacing": (10.0, 12.0),
        "t": 120.0,
        "dtype": "float32",
        "free_surface": True,
    },
    # A layer of fewer cells than a point has weights on either side.
    "thin": {"shape": (25, 21), "spacing": (10.0, 12.0), "t": 120.0, "dtype": "float64", "absorb": 2, "space_order": 4},
    # A kernel of order 8 with the full layer takes three times as long to compile: the closed form in 3-D has one.
    "3d": {"shape": (13, 11, 12), "spacing": (10.0, 12.0, 11.0), "t": 60.0, "dtype": "float64", "absorb": 4,
           "space_order": 4},
    "3d-float32": {"shape": (13, 11, 12), "spacing": (10.0, 12.0, 11.0), "t": 60.0, "dtype": "float32", "absorb": 4,
                   "space_order": 4},
}  # fmt: skip


class World:
    """A random earth, two shots across it, and the operators they make."""

    def __init__(self, *, shape, spacing, t: float, dtype: str, **options) -> None:
        rng = np.random.default_rng(1)
        self.t = t
        self.model = so.Model(v=rng.uniform(1.5, 2.5, shape), spacing=spacing, dtype=dtype, **options)
        # Not the model's time step, so that no test mistakes one time axis for another.
        self.src = so.Geometry(self.points(rng, 2, 1), dt=2.0, t=t)
        self.rec = so.Geometry(self.points(rng, 2, 3), dt=2.0, t=t)
        self.other = so.Geometry(self.points(rng, 2, 3), dt=2.0, t=t)
        self.ragged = so.Geometry([self.points(rng, 2, n)[i] for i, n in enumerate((3, 2))], dt=2.0, t=t)
        self.fine = so.Geometry(self.points(rng, 2, 2), dt=0.7, t=t)
        self.coarse = so.Geometry(self.points(rng, 2, 2), dt=8.0, t=t)
        self.wavelet = rng.standard_normal((2, self.rec.nt))
        self.q = rng.standard_normal(self.src.shape)
        self.w = rng.standard_normal((2, *shape))
        self.d = rng.standard_normal(self.rec.shape)
        self.dm = self.model.m * rng.uniform(-0.1, 0.1, shape)
        self.dmh = rng.standard_normal((5, *shape))
        # The same receivers for all shots, as shots that are encoded need them.
        self.shared = so.Geometry(np.repeat(self.points(rng, 1, 3), 2, axis=0), dt=2.0, t=t)
        self.build()

    def build(self) -> None:
        """The operators, of the model, the surveys and the arrays."""
        # Samplers depend on the grid alone: those of another model are the same.
        self.elsewhere = self.model.at(m=1.1 * self.model.m)
        self.Pr, self.Ps = so.Projection(self.model, self.rec), so.Projection(self.model, self.src)
        self.A = so.Modeling(self.model, self.rec)
        self.Pw = so.LRWF(self.model, self.rec, self.wavelet)
        self.F = self.Pr @ self.A @ self.Ps.H
        self.F2 = so.Projection(self.model, self.other) @ self.A @ self.Ps.H
        self.E = self.Pr @ self.A @ self.Pw.H
        # Foreign operators on the data and on the source, neither of them symmetric.
        self.M = pylops.FirstDerivative(self.F.dimsd, axis=-1, kind="forward", dtype=self.model.dtype)
        self.N = pylops.FirstDerivative(self.F.dims, axis=-1, kind="forward", dtype=self.model.dtype)
        self.P = self.preconditioner(self.rec)

    def part(self, i: int, window) -> World:
        """Shot `i` by itself, on a part of the model."""
        other = copy(self)
        other.model = window.of(self.model)
        for name in ("src", "rec", "other", "ragged", "fine", "coarse", "shared", "wavelet", "q", "d"):
            setattr(other, name, getattr(self, name)[[i]])
        other.w, other.dm, other.dmh = window.crop(self.w[[i]]), window.crop(self.dm), window.crop(self.dmh)
        other.build()
        return other

    def points(self, rng: np.random.Generator, nsrc: int, npoint: int) -> np.ndarray:
        """Points off the grid, one of them in the last cell before the edge."""
        low, high = np.array(self.model.extent).T
        x = rng.uniform(0.02, 0.98, (nsrc, npoint, len(low)))
        x[0, 0] = 0.999
        return low + x * (high - low)

    def samplers(self, geometry: so.Geometry, interpolation: str = "sinc") -> so.algebra.Chain:
        """F recorded by `geometry`, on its time axis."""
        Pr = so.Projection(self.model, geometry, interpolation=interpolation)
        Ps = so.Projection(self.model, self.src.resampled(geometry.dt))
        return Pr @ so.Modeling(self.model, geometry) @ Ps.H

    def preconditioner(self, rec: so.Geometry) -> so.algebra.Chain:
        """Acts on every shot by itself; not symmetric."""
        derivative = so.preconditioners.time_derivative(rec, 0.5, dtype=self.model.dtype)
        return derivative @ so.preconditioners.reflection_mute(rec, self.src, velocity=3.0, t0=20.0, taper=30.0,
                                                               dtype=self.model.dtype)  # fmt: skip

    @property
    def J(self):
        """The Jacobian of F."""
        return so.Jacobian(self.F, self.q)


@lru_cache
def world(kind: str) -> World:
    """The world of a kind, one for all tests."""
    return World(**KINDS[kind])


# Of two shots, with signs and sizes of their own.
ENCODING = so.Encoding([[1.0, -2.0], [0.5, 1.0]])

PRODUCTS: dict[str, Callable[[World], pylops.LinearOperator]] = {
    "Pr": lambda w: w.Pr,
    "Pw": lambda w: w.Pw,
    "A": lambda w: w.A,
    "Pr A Ps.H": lambda w: w.F,
    "A Ps.H": lambda w: w.A @ w.Ps.H,
    "Pr A": lambda w: w.Pr @ w.A,
    "Pr A Pw.H": lambda w: w.E,
    "A Pw.H": lambda w: w.A @ w.Pw.H,
    "Pw A.H Pr.H": lambda w: w.Pw @ w.A.H @ w.Pr.H,
    "Pw A Pw.H": lambda w: w.Pw @ w.A @ w.Pw.H,
    "J of F": lambda w: w.J,
}

OTHERS: dict[str, Callable[[World], pylops.LinearOperator]] = {
    "S": lambda w: so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q),
    "Sh": lambda w: so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q, condition=so.conditions.SubsurfaceOffsets(2, 1)),
    "S A Ps.H": lambda w: so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q) @ w.A @ w.Ps.H,
    "V": lambda w: so.VirtualSource(w.model, w.rec, None, w.dm),
    "Pr Ps.H": lambda w: w.Pr @ w.Ps.H,
    "A A": lambda w: w.A @ w.A,
    "Pr linear": lambda w: so.Projection(w.model, w.rec, interpolation="linear"),
    "F linear": lambda w: w.samplers(w.rec, "linear"),
    "F ragged": lambda w: w.samplers(w.ragged),
    "F fine": lambda w: w.samplers(w.fine),
    "F coarse": lambda w: w.samplers(w.coarse),
    "F configured": lambda w: w.F.configured(reproducible=True),
    "F + 2 F configured": lambda w: w.F + 2 * w.F.configured(reproducible=True),
    "J of F configured": lambda w: w.F.configured(reproducible=True).jacobian(w.q),
    "F within 60 m": lambda w: so.aperture(w.F, 60.0),
    "J of F within 60 m": lambda w: so.aperture(w.F, 60.0).jacobian(w.q),
    "F + F2 within 60 m": lambda w: w.F + so.aperture(w.F2, 60.0),
    "F elsewhere": lambda w: so.Projection(w.elsewhere, w.rec) @ w.A @ so.Projection(w.elsewhere, w.src).H,
    "J by the complement elsewhere": lambda w: so.imaging.complement(
        (so.Projection(w.elsewhere, w.rec) @ w.A @ w.Ps.H).jacobian(w.q)
    ),
    "S elsewhere": lambda w: so.Scattering(w.elsewhere, w.rec, w.A @ w.Ps.H, w.q),
    "F[1]": lambda w: w.F[1],
    "2 F": lambda w: 2 * w.F,
    "-F": lambda w: -w.F,
    "F 0.5": lambda w: w.F * 0.5,
    "F + F2": lambda w: w.F + w.F2,
    "F - 2 F2": lambda w: w.F - 2 * w.F2,
    "M F": lambda w: so.compose(w.M @ w.F),
    "F N": lambda w: w.F @ w.N,
    "P": lambda w: w.P,
    "P F": lambda w: w.P @ w.F,
    "P F ragged": lambda w: w.preconditioner(w.ragged) @ w.samplers(w.ragged),
    "J of P F": lambda w: (w.P @ w.F).jacobian(w.q),
    "F.H F": lambda w: w.F.H @ w.F,
    "(F + F2).H (F + F2)": lambda w: (w.F + w.F2).H @ (w.F + w.F2),
    "J of (F + F2).H (F + F2)": lambda w: ((w.F + w.F2).H @ (w.F + w.F2)).jacobian(w.q),
    "J of E": lambda w: w.E.jacobian(w.w),
    "J of F.H": lambda w: w.F.H.jacobian(w.d),
    "J of E.H": lambda w: w.E.H.jacobian(w.d),
    "J of A Ps.H": lambda w: (w.A @ w.Ps.H).jacobian(w.q),
    "J of F.H F": lambda w: (w.F.H @ w.F).jacobian(w.q),
    "J of F + 2 F2": lambda w: (w.F + 2 * w.F2).jacobian(w.q),
    "J of M F N": lambda w: so.Jacobian(w.M @ w.F @ w.N, w.q),
    "J of F by offset": lambda w: so.imaging.subsurface_offsets(w.J, 2),
    "J of F by inverse scattering": lambda w: so.imaging.inverse_scattering(w.J),
    "J of F by its complement": lambda w: so.imaging.complement(w.J),
    "J of F by offset along axis 1": lambda w: so.imaging.subsurface_offsets(w.J, 2, axis=1),
    "J of J by offset": lambda w: so.imaging.subsurface_offsets(w.J, 2).jacobian(w.dmh),
    "J of (J by offset).H": lambda w: so.imaging.subsurface_offsets(w.J, 2).H.jacobian(w.d),
    "J of Jh Jh.H": lambda w: normal(so.imaging.subsurface_offsets(w.J, 2)).jacobian(w.d),
    "J of J by the complement": lambda w: so.imaging.complement(w.J).jacobian(w.dm),
    "J of (J by the complement).H": lambda w: so.imaging.complement(w.J).H.jacobian(w.d),
    "J of F ragged": lambda w: w.samplers(w.ragged).jacobian(w.q),
    "J.H J": lambda w: w.J.H @ w.J,
    "J of J": lambda w: w.J.jacobian(w.dm),
    "J of J.H": lambda w: w.J.H.jacobian(w.d),
    "J of J.H J": lambda w: (w.J.H @ w.J).jacobian(w.dm),
    # Flat foreign factors D, on either side, between any two factors, and behind derivatives.
    "D F": lambda w: so.compose(diagonal(w.F.shape[0]) @ w.F),
    "F D": lambda w: w.F @ diagonal(w.F.shape[1]),
    "E D": lambda w: w.E @ diagonal(w.E.shape[1]),
    "Pr D A Ps.H": lambda w: w.Pr @ diagonal(w.A.shape[0]) @ w.A @ w.Ps.H,
    "Pr A D Ps.H": lambda w: w.Pr @ w.A @ diagonal(w.A.shape[1]) @ w.Ps.H,
    "S D A Ps.H": lambda w: so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q) @ diagonal(w.A.shape[0]) @ w.A @ w.Ps.H,
    "F D + F2": lambda w: w.F @ diagonal(w.F.shape[1]) + w.F2,
    "J D": lambda w: w.J @ diagonal(w.J.shape[1]),
    "J.H D J": lambda w: w.J.H @ diagonal(w.J.shape[0]) @ w.J,
    "J of E D": lambda w: (w.E @ diagonal(w.E.shape[1])).jacobian(w.w.ravel()),
    "J of D E.H": lambda w: so.compose(diagonal(w.E.shape[1]) @ w.E.H).jacobian(w.d),
    "J of Pr A D Ps.H": lambda w: (w.Pr @ w.A @ diagonal(w.A.shape[1]) @ w.Ps.H).jacobian(w.q),
    "J of J D": lambda w: (w.J @ diagonal(w.J.shape[1])).jacobian(w.dm.ravel()),
    "J of J.H D": lambda w: (w.J.H @ diagonal(w.J.shape[0])).jacobian(w.d.ravel()),
    "J of S D": lambda w: (so.Scattering(w.model, w.rec, w.A @ w.Ps.H, w.q) @ diagonal(w.A.shape[0])).jacobian(
        random(w.A.shape[1])
    ),
    "F / 2": lambda w: w.F / 2,
    "conj of M F": lambda w: so.compose((w.M @ w.F).conj()),
    # Several surveys at once.
    "VStack": lambda w: so.compose(pylops.VStack([w.F, 2 * w.samplers(w.ragged)])),
    "HStack": lambda w: so.compose(pylops.HStack([w.F.H, w.samplers(w.ragged).H])),
    "BlockDiag": lambda w: so.compose(pylops.BlockDiag([w.F, w.F2])),
    "BlockDiag of two shapes": lambda w: so.compose(pylops.BlockDiag([w.F, w.E, w.P])),
    "P VStack": lambda w: so.compose(pylops.BlockDiag([w.P, w.P]) @ pylops.VStack([w.F, w.F2])),
    "J of VStack": lambda w: so.Jacobian(pylops.VStack([w.F, w.F2]), w.q),
    "J of BlockDiag": lambda w: so.Jacobian(pylops.BlockDiag([w.F, w.F2]), np.stack([w.q, 2 * w.q])),
    # Shots that are fired together.
    "W": lambda w: ENCODING.sources(w.samplers(w.shared)),
    "F encoded": lambda w: ENCODING @ w.samplers(w.shared),
    "F encoded W": lambda w: (ENCODING @ w.samplers(w.shared)) @ ENCODING.sources(w.samplers(w.shared)),
    "J of F encoded": lambda w: (ENCODING @ w.samplers(w.shared)).jacobian(w.q.repeat(2, axis=1)),
    # What stands on the grid.
    "L": lambda w: so.imaging.laplacian(w.model),
    "m": lambda w: so.imaging.Weighting(w.model),
    "m of z": lambda w: so.imaging.Weighting(w.model, None, w.dm),
    "m of J.H": lambda w: so.imaging.Weighting(w.model, w.J.H, w.d),
}

ZOO = PRODUCTS | OTHERS
NAMES = [*ZOO, *(f"({name}).H" for name in ZOO)]
# The products of the table of JUDI's, with the Jacobian, for the other kinds of world.
LISTED = [*PRODUCTS, *(f"({name}).H" for name in PRODUCTS)]
# The images that are not those of J.
IMAGES = [
    "J of F by inverse scattering",
    "J of F by its complement",
    "J of F by offset",
    "J of F by offset along axis 1",
]
# Kernels are slow to build, in three dimensions above all: there, and where two options are combined, the most used.
FEW = [n for name in ("Pr A Ps.H", "J of F", "Pr A Pw.H", "A Ps.H") for n in (name, f"({name}).H")]


def shortened(cases, short):
    """The cases of a law, of which all but the `short` ones are long tests."""
    return [
        case if case in short else pytest.param(*([case] if isinstance(case, str) else case), marks=pytest.mark.long)
        for case in cases
    ]


@cache
def operator(name: str, kind: str = "2d") -> pylops.LinearOperator:
    """The operator of an entry, or its adjoint."""
    if name in ZOO:
        return ZOO[name](world(kind))
    return operator(name[1:-3], kind).H


def diagonal(n: int) -> pylops.Diagonal:
    """A flat operator of PyLops' own, as most of them are."""
    return pylops.Diagonal(random(n, 8), dtype="float64")


# Entries that hold factors of PyLops' own have one of these in their names.
FOREIGN = {"M", "N", "D"}


def foreign(name: str) -> bool:
    """Whether an entry has factors of PyLops' own."""
    return bool(FOREIGN & set(name.replace("(", " ").replace(")", " ").split()))


def normal(J):
    """J J.H"""
    return J @ J.H


def random(shape, seed: int = 0, dtype: str = "float64") -> np.ndarray:
    """Normally distributed values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def error(x, y) -> float:
    """|x - y| / |y|"""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    assert x.shape == y.shape
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


class Stored:
    """Records somewhere else, which come as slices only, as those of h5py do out of order."""

    def __init__(self, d):
        self.d, self.shape, self.asked = d, d.shape, []

    def __len__(self):
        return len(self.d)

    def __getitem__(self, index):
        self.asked.append(index)
        assert isinstance(index, slice)
        return self.d[index]

    def __array__(self, dtype=None, copy=None):
        self.asked.append(slice(None))
        return self.d

    def __reduce__(self):
        raise TypeError("another process would get the records of all shots")


def in_the_grid(points: PointWeights, shape: tuple[int, ...]) -> bool:
    """Whether a kernel that is given these points touches nodes of a grid of `shape` alone."""
    last = points.nodes + [w.shape[1] for w in points.weights]
    return bool(np.all(points.nodes >= 0) and np.all(last <= shape))


class Elsewhere(Executor):
    """An executor that runs a task at once, in this process, as if it were another; it counts what was sent."""

    _max_workers = 2

    def __init__(self, forgets: bool = False) -> None:
        self.forgets, self.parcels = forgets, []
        pickles._known.clear()

    def submit(self, function, *args):
        self.parcels += args
        if self.forgets:
            pickles._known.clear()
        future = Future()
        future.set_result(function(*args))
        return future


# ---------------------------------------------------------------------- media


def media(names, short=()):
    """Earths by name; of all but the `short` ones a law is a long test.

    The tests of an earth stay in one process, which then builds its kernels once.
    """
    # Rock and water over it have the same kernels.
    marks = {name: [pytest.mark.xdist_group("elastic" if name == "water over rock" else name)] for name in names}
    for name in names:
        if name not in short:
            marks[name].append(pytest.mark.long)
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks[name]) for name in names])
