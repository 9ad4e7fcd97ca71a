"""The fields of kernels on the grids they run on, made once and lent from march to march."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import psutil
from devito import Operator
from devito.data.allocators import PosixAllocator
from devito.types.caching import CacheManager
from numpy.typing import NDArray

from seisops.model import Model
from seisops.physics import surface
from seisops.physics.layer import profile
from seisops.physics.steps import Receiver
from seisops.propagators import domain
from seisops.propagators.kernels import FieldSet, KernelSpec
from seisops.propagators.strips import felt
from seisops.propagators.surroundings import quiet
from seisops.storage import buffers

# Amplitude reflection of the layer at vertical incidence in the continuous limit.
REFLECTION = 1e-4
# Cells per wavelength at the frequency below which the layer turns from absorbing to evanescent waves.
CELLS_PER_WAVELENGTH = 80
# Bytes that idle workspaces may hold besides the one used last.
IDLE_LIMIT = psutil.virtual_memory().total // 8
# What Devito's objects of a workspace take without its arrays, measured.
OBJECTS = 2**19
# Of how many shapes of arrays a workspace knows the arguments, as surveys take turns.
SHAPES = 64


class _Apart(PosixAllocator):
    """Begins every array elsewhere in a page than the one before.

    Devito's all begin with a page, where a processor takes what is read of one for what was just written of another,
    and waits: marches of several fields took up to 5 % longer.
    """

    STEP = 5 * buffers.ALIGNMENT

    def __init__(self) -> None:
        self._next = itertools.count()

    def _alloc_C_libcall(self, size, ctype):
        begins = next(self._next) * self.STEP % mmap.PAGESIZE
        found, given = super()._alloc_C_libcall(size + -(-begins // ctypes.sizeof(ctype)), ctype)
        return (None if found is None else ctypes.c_void_p(found.value + begins)), given


_APART = _Apart()


def view(f) -> NDArray:
    """The memory of a Devito function, halo included."""
    return allocated(f).data_with_halo.view(np.ndarray)


def allocated(f):
    """A Devito function with its array, of zeros at first.

    For every array that it allocates itself Devito empties its caches, and SymPy's.
    """
    if f._data is None and not f._first_touch:
        if type(f._allocator) is PosixAllocator:
            f._allocator = _APART
        f._create_data()
        f.data_with_halo.view(np.ndarray)[...] = 0
    return f


@dataclass(frozen=True)
class Slot:
    """A field of a coupling, as a kernel knows it: whether it has a value for every step, and whether one for a node.

    What Devito's functions say of themselves takes as long as a small march, so it is asked once.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    timed: bool
    on_grid: bool


def _slots(fields: dict) -> dict[str, Slot]:
    return {
        k: Slot(f.name, f.shape, np.dtype(f.dtype), f.is_TimeFunction, f.dimensions[-1].is_Space)
        for k, f in fields.items()
    }


class Workspace:
    """The fields of one kernel on one grid, for one shot at a time."""

    def __init__(self, spec: KernelSpec, model: Model) -> None:
        # What a workspace held that is no longer there may be in them.
        CacheManager.clear(force=False)
        layers = (felt(spec.scheme, axis, spec.absorb, spec.space_order) for axis in range(spec.ndim))
        self.fields = FieldSet(spec, domain.grid(model, max(spec.reach, *layers)))
        self.shape, self.part = model.padded_shape, domain.slices(model)
        physics, scheme = self.fields.physics, spec.scheme
        self.waves = {f.name: view(physics.fields[f.name]) for f in scheme.fields if f.strip is None}
        self.zeroed = [view(f) for f in physics.moving()]
        # Of levels in turn, those a block of a multiple of as many steps begins with, in either direction.
        self._moving = [u[i] for name, u in self.waves.items() if name in scheme.second for i in (0, -1)]
        self._moving += [u for name, u in self.waves.items() if name not in scheme.second]
        self._moving += [memory.data.view(np.ndarray) for found in physics.memories.values() for memory in found]
        self._moving += [
            physics.fields[f.name].data.view(np.ndarray)[side.within(self.shape, self.part)]
            for f in scheme.fields
            if f.strip is not None and f.name in physics.fields
            for side in physics.sides(f.strip)
        ]
        self.filled_with: dict[str, object] = {}
        self._memory: dict[str, NDArray] = {}
        self._levels: dict[str, NDArray] = {}
        self._profiles = {name: profile(name) for name in physics.coefficients}
        self.slots = [_slots(f) for f in (self.fields.source, *self.fields.measures)]
        self._bound: OrderedDict[tuple, tuple] = OrderedDict()

    @cached_property
    def nbytes(self) -> int:
        """Bytes of its memory, once it was used."""
        return OBJECTS + sum(f._data.nbytes for f in self.fields.all() if f._data is not None)

    def moving(self) -> list[NDArray]:
        """The parts of the fields that change from step to step and are read by the next."""
        return self._moving

    @cached_property
    def _functions(self) -> dict:
        return {f.name: f for f in self.fields.all()}

    def bound(self, operator: Operator, arrays: dict[str, NDArray], scalars: dict) -> tuple[list, int]:
        """What the compiled `operator` takes, in order, and which of that is the last step.

        Fields of the workspace, arrays in the place of others, and of `scalars` those that the kernel knows. Devito
        takes milliseconds to find that, longer than a small march. So it is asked once for arrays of the same shapes;
        after that only their memory is another. Among several ranks it is asked every time.
        """
        if domain.ranks() > 1:
            return self._asked(operator, arrays, scalars)
        key = (*scalars.values(), *[(name, x.shape) for name, x in arrays.items()])
        if key not in self._bound:
            found, last = self._asked(operator, arrays, scalars)
            names = [p.name for p in operator.parameters]
            places = [names.index(name) for name in arrays]
            for i in places:
                # The workspace outlives the array, and must not keep it.
                found[i]._obj.underlying_array = None
            self._bound[key] = found, last, [(i, type(found[i]._obj), found[i]._obj) for i in places]
            if len(self._bound) > SHAPES:
                self._bound.popitem(last=False)
        bound, last, places = self._bound[key]
        arguments = list(bound)
        for (i, kind, described), array in zip(places, arrays.values(), strict=True):
            # Devito's description of an array, of another of the same shape.
            struct = kind.from_buffer_copy(described)
            struct.data = array.__array_interface__["data"][0]
            arguments[i] = ctypes.byref(struct)
        return arguments, last

    def _asked(self, operator: Operator, arrays: dict, scalars: dict) -> tuple[list, int]:
        names = [p.name for p in operator.parameters]
        with quiet():
            known = {k: x for k, x in scalars.items() if k in names or k.startswith("time")}
            found = operator.arguments(**self._functions | arrays, **known)
        return [found[name] for name in names], names.index("time_M")

    def prepare(self, model: Model) -> None:
        """A quiet wavefield in `model`."""
        for array in self.zeroed:
            array[...] = 0
        for name, along in self._profiles.items():
            values = model.coefficients[name] if along is None else (model.dt, model.vmax)
            held = self.filled_with.get(name)
            if held is not values if along is None else held != values:
                self._fill(name, values if along is None else profile_values(model, *along))
                self.filled_with[name] = values

    def _fill(self, name: str, values: NDArray) -> None:
        if name not in self._memory:
            with quiet():
                data = allocated(self.fields.physics.coefficients[name]).data
            # Among several ranks Devito's own arrays take of the whole what is here.
            self._memory[name] = data if domain.ranks() > 1 else data.view(np.ndarray)
        self._memory[name][:] = values

    def levels(self, port: str) -> NDArray:
        """All levels of the wavefield of second order that is read at a port."""
        if port not in self._levels:
            self._levels[port] = self.fields.physics.port(Receiver, port).now.data.view(np.ndarray)
        return self._levels[port]


def profile_values(model: Model, letter: str, axis: int, half: int) -> NDArray:
    r"""A profile along `axis` (padded length), on nodes or `half` a cell beyond.

    Its letter is r or s, which take off the weights of a free surface, or a or b of the absorbing layer:
    :math:`b = e^{-(\sigma + \alpha) dt},\ a = \sigma (b - 1) / (\sigma + \alpha)` with a quadratic
    :math:`\sigma`; constants of the grid alone, so that the wave equation stays linear in m.
    """
    n, cells, d = model.padded_shape[axis], model.absorb, model.spacing[axis]
    if letter not in "ab":
        return surface.unweighted(letter, n, model.space_order, half).astype(model.dtype)
    before, after = (cells if width else 0 for width in model.pad_widths[axis])
    i = np.arange(n) + half / 2
    depth = np.maximum((before - i) * (before > 0), (i - (n - 1 - after)) * (after > 0)).clip(0) / cells
    # Beyond the last node, as before the first, is nothing: both sides are alike.
    depth[i > n - 1] = 0
    sigma = -3 * model.vmax * np.log(REFLECTION) / (2 * cells * d) * depth**2
    inner, outer = model.medium.layer_shift
    alpha = np.pi * model.vmax / (CELLS_PER_WAVELENGTH * d) * (inner * (1 - depth).clip(0) + outer)
    b = np.exp(-(sigma + alpha) * model.dt)
    if letter == "b":
        return b.astype(model.dtype)
    return np.where(depth > 0, sigma / np.where(depth > 0, sigma + alpha, 1) * (b - 1), 0).astype(model.dtype)


class _Workspaces:
    """Workspaces that wait for the next shot on their grid; beyond IDLE_LIMIT the longest unused go."""

    def __init__(self) -> None:
        # The grids used longest ago come first.
        self.idle: OrderedDict[tuple, list[Workspace]] = OrderedDict()
        self.nbytes = 0
        # A march that was given up may be collected, and give its workspace back, while its thread is in here.
        self.lock = threading.RLock()

    def borrow(self, spec: KernelSpec, model: Model) -> Workspace:
        """A workspace of a kernel on the grid of `model`, to be given back."""
        key = (spec, model.padded_shape, model.spacing)
        with self.lock:
            spaces = self.idle.pop(key, None)
            if spaces:
                space = spaces.pop()
                self.nbytes -= space.nbytes
                if spaces:
                    self.idle[key] = spaces
                return space
        with quiet():
            return Workspace(spec, model)

    def give_back(self, spec: KernelSpec, model: Model, space: Workspace) -> None:
        """Keep a workspace for the next march."""
        key = (spec, model.padded_shape, model.spacing)
        with self.lock:
            self.idle.setdefault(key, []).append(space)
            # What was used last comes last.
            self.idle.move_to_end(key)
            self.nbytes += space.nbytes
            while self.nbytes > IDLE_LIMIT and self.nbytes > space.nbytes:
                self._taken(next(iter(self.idle)))

    def _taken(self, key: tuple) -> Workspace:
        spaces = self.idle[key]
        space = spaces.pop()
        self.nbytes -= space.nbytes
        if not spaces:
            del self.idle[key]
        return space


workspaces = _Workspaces()
