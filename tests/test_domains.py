"""One shot on two processes: Devito decomposes the grid, and every product is what one process computes.

The same functions run here and, as this file is a script too, on the ranks.
"""

import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import test_media
from test_cluster import mpiexec
from zoo import DOT, ROUNDING, World, error, in_the_grid, world

import seisops as so
from seisops import checks
from seisops.propagators import domain
from seisops.propagators.points import PointWeights

RANKS = 2
pytestmark = pytest.mark.xdist_group("domains")


@cache
def solid(name: str) -> test_media.World:
    """Two shots in an earth large enough to be cut."""
    return test_media.World(replace(test_media.EARTHS[name], shape=(40, 38)))


def survey(kind: str) -> World | test_media.World:
    """Two shots of a kind."""
    return solid(kind) if kind in SOLIDS else world(kind)


@cache
def linearized(kind: str, storage: so.storage.Storage | None = None):
    """F and its derivative, on one march."""
    w = survey(kind)
    with so.config(storage=storage or so.storage.Memory()):
        return w.F.linearize(w.q, w.wrt if kind in SOLIDS else None)


def kept(storage: so.storage.Storage) -> Callable[[World], np.ndarray]:
    """J and J.H with another storage."""

    def products(w: World) -> np.ndarray:
        J = linearized("2d", storage).J
        return np.concatenate([(J @ w.dm).ravel(), (J.H @ w.d).ravel()])

    return products


def by_offset(w: World) -> np.ndarray:
    """Images by offset and their adjoint; the background of a part comes from its neighbours too."""
    J = so.imaging.subsurface_offsets(linearized("2d").J, 3)
    return np.concatenate([(J @ np.stack([w.dm] * 7)).ravel(), (J.H @ w.d).ravel()])


def by_itself(w: World) -> np.ndarray:
    """The image operator outside of a propagation, and in one with a wavefield of the whole grid for its background."""
    u = w.A @ w.Ps.H @ w.q
    S, S0 = linearized("2d").J.factors[-1].op, so.Scattering(w.model, w.rec, None, u)
    return np.concatenate([(S @ u).ravel(), (w.Pr @ w.A @ S0.H @ w.dm).ravel()])


def disagreeing(w: World) -> np.ndarray:
    """J where the free memory holds all of the background on one rank, and nothing of it on the other."""
    first = domain.slices(w.model)[0].start == 0
    return linearized("2d", so.storage.Auto(budget=0 if first else 2**40)).J @ w.dm


PRODUCTS: dict[str, dict[str, Callable[[World], np.ndarray]]] = {
    "2d": {
        "F": lambda w: w.F @ w.q,
        "F.H": lambda w: w.F.H @ w.d,
        "E": lambda w: w.E @ w.w,
        "A Ps.H": lambda w: w.A @ w.Ps.H @ w.q,
        "J": lambda w: linearized("2d").J @ w.dm,
        "J.H": lambda w: linearized("2d").J.H @ w.d,
        "S": by_itself,
        "J by offset": by_offset,
        # Its march is one of several blocks.
        "J from checkpoints": kept(so.storage.Checkpointed()),
        "J of sixteen bits": kept(so.storage.Half()),
        "J where memory differs": disagreeing,
        "gradient": lambda w: so.fwi(w.F, w.q, w.d)[1],
    },
    "surface": {
        "F": lambda w: w.F @ w.q,
        "F.H": lambda w: w.F.H @ w.d,
    },
    "3d": {
        "F": lambda w: w.F @ w.q,
    },
}
# Media that change their wavefields in place, and one that does not.
SOLIDS = ("elastic, surface", "attenuating", "TTI")


def of_solids(kind: str) -> dict[str, Callable]:
    """F and its derivatives in every parameter."""
    return {
        "F": lambda w: w.F @ w.q,
        "F.H": lambda w: w.F.H @ w.d,
        "J": lambda w: linearized(kind).J @ w.dp,
        "J.H": lambda w: linearized(kind).J.H @ w.d,
    }


PRODUCTS |= {kind: of_solids(kind) for kind in SOLIDS}
CASES = [(kind, name) for kind, products in PRODUCTS.items() for name in products]
DOTS = {
    "F": lambda: world("2d").F,
    "J": lambda: linearized("2d").J,
    "J by offset": lambda: so.imaging.subsurface_offsets(linearized("2d").J, 3),
    "F under a free surface": lambda: world("surface").F,
    "J in a solid under a free surface": lambda: linearized("elastic, surface").J,
}


def refused() -> dict[str, str]:
    """What is said on the ranks about what cannot be."""
    w = world("2d")
    narrow = so.Model(v=np.full((5, 61), 2.0), spacing=10.0, dtype="float64")
    Pr = so.Projection(narrow, so.Geometry([[[20.0, 20.0]]], dt=2.0, t=120.0))

    def on_threads():
        with ThreadPoolExecutor(1) as pool, so.config(executor=pool):
            w.F @ w.q

    calls = {
        "narrow": lambda: (Pr @ so.Modeling(narrow, Pr.geometry) @ Pr.H) @ np.ones(61),
        "threads": on_threads,
        "large": lambda: w.F[1] @ np.full(w.F[1].dims, 1e307),
    }
    said = {}
    for name, call in calls.items():
        try:
            call()
        except (ValueError, FloatingPointError) as message:
            said[name] = f"{type(message).__name__}: {message}"
    return said


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What every rank has computed."""
    folder = tmp_path_factory.mktemp("ranks")
    mpiexec(RANKS, "-m", "mpi4py", __file__, str(folder), DEVITO_MPI="1", OMP_NUM_THREADS="1")
    return [np.load(folder / f"{rank}.npz") for rank in range(RANKS)]


@pytest.mark.long
@pytest.mark.parametrize("kind, name", CASES)
def test_ranks_give_the_serial_answer(ranks, kind, name):
    assert error(ranks[0][f"{kind} {name}"], PRODUCTS[kind][name](survey(kind))) <= ROUNDING


@pytest.mark.long
def test_all_ranks_have_the_same_to_the_last_bit(ranks):
    for kind, name in CASES:
        assert np.array_equal(ranks[0][f"{kind} {name}"], ranks[1][f"{kind} {name}"]), name


@pytest.mark.long
@pytest.mark.parametrize("name", DOTS)
def test_adjoint(ranks, name):
    assert ranks[0][f"dot test {name}"] <= DOT["float64"]


@pytest.mark.long
def test_backgrounds_are_shared_out(ranks):
    whole = world("2d").A.wave().nbytes
    held = [r["background"] for r in ranks]
    assert whole / RANKS <= max(held) <= 0.55 * whole


@pytest.mark.long
@pytest.mark.parametrize(
    "name, message",
    [
        ("narrow", r"2 ranks cut axis 0 of the padded grid \(25, 81\) into parts of 12 cells.*a part needs 14"),
        ("threads", "2 ranks march every shot together.*an executor cannot run shots side by side"),
        ("large", "FloatingPointError: The wavefield of .* grew beyond float64"),
    ],
)
def test_refusals(ranks, name, message):
    assert re.search(message, str(ranks[0][f"refused {name}"]))


def test_parts_of_points_are_the_points():
    rng, r = np.random.default_rng(0), 6
    points = PointWeights(rng.integers(0, 27 - 2 * r, (40, 2)), tuple(rng.standard_normal((2, 40, 2 * r))))
    total = 0
    # One of the parts has fewer nodes than a point has weights.
    for part in [(slice(0, 11), slice(0, 26)), (slice(11, 26), slice(0, 9)), (slice(11, 26), slice(9, 26))]:
        shape = tuple(s.stop - s.start for s in part)
        mine = points.within(part)
        assert in_the_grid(mine, shape)
        on_the_grid = np.zeros((40, 26, 26))
        on_the_grid[:, *part] = mine.matrix(shape).toarray().reshape(40, *shape)
        total = total + on_the_grid
    assert np.array_equal(total, points.matrix((26, 26)).toarray().reshape(40, 26, 26))


def test_mpi_without_its_package(monkeypatch):
    monkeypatch.setattr(domain, "configuration", {"mpi": "basic"})
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match="pip install mpi4py mpich, or switch DEVITO_MPI off"):
        domain.ranks()


def main(folder: str) -> None:
    """All results of a rank in a file."""
    from mpi4py import MPI

    results = {f"{kind} {name}": PRODUCTS[kind][name](survey(kind)) for kind, name in CASES}
    results |= {f"dot test {name}": checks.dot_test(op(), verbose=False) for name, op in DOTS.items()}
    results |= {f"refused {name}": said for name, said in refused().items()}
    results["background"] = world("2d").A.wave().nbytes
    np.savez(f"{folder}/{MPI.COMM_WORLD.rank}.npz", **results)


if __name__ == "__main__":
    main(sys.argv[1])
