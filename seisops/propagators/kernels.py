"""Compiled kernels: one Devito operator per structure, kept for the process and on disk.

A kernel depends on the structure of the computation alone; grid shape, spacing, time step, model and
points are arguments, so another model, shot or survey compiles nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path

import devito
import numpy as np
from devito import Constant, Function, Grid, Operator, configuration
from filelock import FileLock

from seisops import watching
from seisops.physics.scheme import Scheme
from seisops.physics.steps import Receiver, Source
from seisops.propagators import domain
from seisops.propagators.couplings import Coupling
from seisops.propagators.couplings.narrow import MACROS
from seisops.propagators.equations import Functions
from seisops.propagators.lowering import lowering
from seisops.propagators.surroundings import float_environment, quiet, uncollected


@dataclass(frozen=True)
class KernelSpec:
    """All that a kernel is compiled from."""

    scheme: Scheme
    ndim: int
    dtype: str
    space_order: int
    absorb: int
    sides: tuple[tuple[str, ...], ...]
    free_surface: bool
    adjoint: bool
    threaded: bool
    source: Coupling
    measures: tuple[Coupling, ...]

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, f.name) for f in fields(self)))

    def __hash__(self) -> int:
        # Kernels and workspaces are looked up by it before every march.
        return self._hash

    @property
    def levels(self) -> int:
        """Levels of a field of second order: now and ahead, and the one behind where that is read too."""
        return 3 if any(c.behind for c in (self.source, *self.measures)) else 2

    @property
    def reach(self) -> int:
        """Nodes that a part of a grid needs of its neighbours."""
        return max(self.space_order, *(c.reach for c in (self.source, *self.measures)))


# Steps of what stands for arrays of any number of steps.
STEPS = 4


class FieldSet:
    """The Devito functions of one kernel on one grid: of its scheme, of its source and of its measures."""

    def __init__(self, spec: KernelSpec, grid: Grid) -> None:
        self.physics = Functions(
            spec.scheme,
            grid,
            spec.sides,
            absorb=spec.absorb,
            order=spec.space_order,
            adjoint=spec.adjoint,
            levels=spec.levels,
        )
        self.source = spec.source.fields("src", grid, STEPS)
        self.measures = [c.fields(f"rec{i}", grid, STEPS) for i, c in enumerate(spec.measures)]

    def all(self) -> Iterator[Function]:
        """Every function of the set."""
        yield from self.physics.all()
        for f in (self.source, *self.measures):
            yield from f.values()


def _equations(spec: KernelSpec, f: FieldSet) -> list:
    h = Constant(name="h", dtype=np.dtype(spec.dtype).type)
    measures: dict[str, list] = {}
    for coupling, mine in zip(spec.measures, f.measures, strict=True):
        for port, equations in coupling.measure(mine, partial(f.physics.port, Receiver), h).items():
            measures.setdefault(port, []).extend(equations)
    sources = spec.source.source(f.source, partial(f.physics.port, Source))
    if spec.adjoint and not spec.scheme.second:
        sources, measures = (_backwards(found, f.physics.grid.time_dim) for found in (sources, measures))
    return f.physics.step(sources, measures, spec.free_surface)


def _backwards(equations: dict[str, list], time) -> dict[str, list]:
    """Equations that read and write the last step first: fields without levels in time do not say where it goes."""
    step = time.symbolic_max + time.symbolic_min - time

    def turned(eq):
        sides = (x._subs(time, step) for x in (eq.lhs, eq.rhs))
        return type(eq)(*sides, implicit_dims=eq.implicit_dims)

    return {port: list(map(turned, found)) for port, found in equations.items()}


# What takes the place of Devito's flags for gcc: of vectors of 64 bytes that a difference reads most lie in two lines
# of a cache, and more is left at the end of a row. Marches take 8 to 20 % less with vectors of 32.
_FLAGS = {"-mprefer-vector-width=512": "-mprefer-vector-width=256"}


def _build(spec: KernelSpec) -> Operator:
    shape = (4 * (spec.reach + spec.absorb),) * spec.ndim
    with lowering():
        functions = FieldSet(spec, domain.template(shape, np.dtype(spec.dtype).type, spec.free_surface))
        operator = Operator(_equations(spec, functions), name="March", **_build_options(spec))
    operator._headers.update(MACROS)
    # Its own copy, as Devito's may be shared.
    operator._compiler = copy(operator._compiler)
    # A debugger's symbols take a fifth of the time that compiling takes.
    flags = [_FLAGS.get(flag, flag) for flag in operator._compiler.cflags if flag != "-g"]
    operator._compiler.cflags = flags
    # Devito names a binary by the code and its own settings, and takes one of other flags for it.
    operator._soname += hashlib.sha256(repr(flags).encode()).hexdigest()[:8]
    with _in_a_folder_of_its_own(operator._compiler):
        _ = operator.cfunction
    return operator


@contextmanager
def _in_a_folder_of_its_own(compiler) -> Iterator[None]:
    """Compile where no other process does: one that is killed leaves a lock, for which others would wait for ever."""
    with tempfile.TemporaryDirectory() as folder:
        compiler.get_codepy_dir = lambda: Path(folder)
        try:
            yield
        finally:
            del compiler.get_codepy_dir


# What Devito's plain languages become with threads.
_THREADED = {"C": "openmp", "CXX": "CXXopenmp"}


def runs_threaded(threads: int) -> bool:
    """Whether a march of so many threads wants a kernel with threads; one without has no atomic updates to pay for."""
    return threads != 1 or dict.__getitem__(configuration, "language") not in _THREADED


def _build_options(spec: KernelSpec) -> dict:
    """OpenMP where it is of use, unless the user's Devito configuration says how to parallelise; any size of arrays."""
    # On a GPU Devito counts through arrays in 32 bits, and refuses the history of a large shot.
    found = {"opt": (configuration["opt"], {"index-mode": "int64"} | configuration["opt-options"])}
    language = configuration["language"]
    return found | ({"language": _THREADED[language]} if spec.threaded and language in _THREADED else {})


_kernels: dict[KernelSpec, Operator] = {}
_building = threading.RLock()
# How many kernels this process has built from their equations; nothing built twice is a law of the tests.
built = 0


def kernel(spec: KernelSpec) -> Operator:
    """The compiled operator of `spec`: from this process, from disk, or built now."""
    global built
    found = _kernels.get(spec)
    if found is not None:
        return found
    with _building, quiet(), float_environment(), uncollected():
        if spec not in _kernels:
            path = _cache_path(spec)
            with domain.in_turn(), _alone(path):
                operator = None if path is None else _load(path)
                began = time.monotonic()
                if operator is None:
                    watching.told(f"compiling a kernel in {spec.ndim}-D, once; it is kept in {cache_folder()}")
                    operator = _build(spec)
                    built += 1
                _ = operator.cfunction  # compiled and loaded here, where the arithmetic is looked after
                if (took := time.monotonic() - began) > 1:
                    watching.told(f"compiled and loaded in {took:.0f} s")
                if path is not None and not path.is_file():
                    _save(path, operator)
            _kernels[spec] = operator
    return _kernels[spec]


# Of Devito's, what a binary depends on.
_SETTINGS = ("platform", "compiler", "language", "mpi", "topology", "opt", "opt-options")


def _cache_path(spec: KernelSpec) -> Path | None:
    """A file in a folder only this user can read, named after all a binary depends on; None where that is not known.

    The text of a medium is its scheme, which the spec holds whole; that of a coupling from elsewhere is looked up.
    """
    couplings = [type(c) for c in (spec.source, *spec.measures) if not type(c).__module__.startswith("seisops.")]
    try:
        texts = [inspect.getsource(inspect.getmodule(c)) for c in couplings]
    except (OSError, TypeError):
        # Written at a prompt: edited, it would find the binary of what it was.
        return None
    settings = [str(configuration[k]) for k in _SETTINGS]
    host = (sys.version, devito.__version__, np.__version__, *settings, str(_cpu()), _sources())
    name = hashlib.sha256(repr((host, spec, texts)).encode()).hexdigest()[:32]
    return cache_folder() / f"{name}.pickle"


def cache_folder() -> Path:
    """Where kernels are kept on disk."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seisops" / "kernels"


def _cpu() -> tuple:
    from devito.arch.archinfo import get_cpu_info

    info = get_cpu_info()
    return (info.get("brand"), tuple(sorted(info.get("flags") or ())))


def _sources() -> str:
    """The text that makes equations of a scheme: edited, it makes others of the same."""
    here = Path(__file__).parent
    files = [
        *sorted((here / "couplings").glob("*.py")),
        *(here / f"{n}.py" for n in ("domain", "equations", "kernels", "loops", "lowering", "strips")),
        # Their numbers are written into kernels.
        *(here.parent / "physics" / f"{n}.py" for n in ("stencil", "surface")),
    ]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """No other process builds what will be at `path` meanwhile; where files cannot be locked one may."""
    with ExitStack() as held:
        if path is not None and not path.is_file():
            with suppress(OSError, NotImplementedError):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                held.enter_context(FileLock(path.with_suffix(".lock")))
        yield


def _load(path: Path) -> Operator | None:
    if not path.is_file():
        return None
    try:
        return pickle.loads(path.read_bytes())
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError):
        path.unlink(missing_ok=True)  # a truncated or outdated file: built again
        return None


def _save(path: Path, operator: Operator) -> None:
    """Write whole or not at all; a disk that cannot be written costs the next process a build."""
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            pickle.dump(operator, file)
        os.replace(file.name, path)
