"""Pickles for other processes: a task without the models in it, and the models where they are not known yet."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from seisops.model import Model

try:
    # Where it is installed, as with Dask, functions that were defined in a script or a notebook travel too.
    from cloudpickle import Pickler
except ImportError:
    from pickle import Pickler

# Models that a process remembers: an inversion goes on to the next and returns, in a line search, to the last.
REMEMBERED = 2

_packed: WeakKeyDictionary[Model, tuple[str, bytes]] = WeakKeyDictionary()
_known: OrderedDict[str, Model] = OrderedDict()


@dataclass(frozen=True)
class Parcel:
    """A pickled object, and by name the models it refers to: all of them, or those that travel with it."""

    body: bytes
    names: tuple[str, ...]
    models: dict[str, bytes]

    def light(self) -> Parcel:
        """Leave the models out, for a process that has them."""
        return replace(self, models={})


@dataclass(frozen=True)
class Missing:
    """The answer of a process that does not have the models of a light parcel."""


def pack(thing: object) -> Parcel:
    """Pickle `thing`, and apart from it the models it refers to."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(thing)
    return Parcel(file.getvalue(), tuple(packer.models), packer.models)


def unpack(parcel: Parcel) -> object:
    """Return what was packed, or Missing."""
    for name, model in parcel.models.items():
        if name not in _known:
            _known[name] = pickle.loads(model)
    if not all(name in _known for name in parcel.names):
        return Missing()
    for name in parcel.names:
        _known.move_to_end(name)
    thing = _Unpacker(io.BytesIO(parcel.body)).load()
    while len(_known) > max(REMEMBERED, len(parcel.names)):
        _known.popitem(last=False)
    return thing


class _Packer(Pickler):
    def __init__(self, file) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.models: dict[str, bytes] = {}

    def persistent_id(self, thing):
        if not isinstance(thing, Model):
            return None
        if thing not in _packed:
            body = pickle.dumps(thing)
            _packed[thing] = (hashlib.sha256(body).hexdigest(), body)
        name, body = _packed[thing]
        self.models[name] = body
        return name


class _Unpacker(pickle.Unpickler):
    def persistent_load(self, name: str) -> Model:
        return _known[name]
