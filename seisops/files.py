"""Models, surveys, records and images in one HDF5 file, with all that is needed to go on."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from seisops import physics
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.records import Records

FORMAT = 2
# What a model is made with, besides its parameters and its medium.
OPTIONS = ("spacing", "origin", "absorb", "free_surface", "space_order", "dt", "vmax", "correct_dispersion")


def save(path: str | Path, **things) -> None:
    """Write models, surveys, arrays and numbers to an HDF5 file, each under the name it is given by.

    Parameters
    ----------
    path : path to `.h5`
        A file that is there is replaced, once the new one is whole.
    **things : Model, Geometry, Records, array, number or str

    Raises
    ------
    TypeError
        For something else, such as an operator: save what it is made of.
    ValueError
        For another kind of file.

    Examples
    --------
    >>> import numpy as np, seisops as so, tempfile, os
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> name = os.path.join(tempfile.mkdtemp(), "run.h5")
    >>> so.save(name, model=model, src=src, q=so.ricker(src, f0=0.02), f0=0.02)
    >>> run = so.load(name)
    >>> run["src"] == src, run["model"], run["f0"]
    (True, Model(51 x 41, spacing 10 x 10 m, v 2-2 km/s, dt 2.521 ms, CPML 10 cells, float32), 0.02)
    """
    path = _checked(path)
    for name, thing in things.items():
        if not isinstance(thing, (Model, Geometry, Records, str, int, float, complex, np.generic, np.ndarray)):
            raise TypeError(
                f"{name} is of type {type(thing).__name__}: files hold models, geometries, records, arrays, numbers "
                "and text. Of an operator save what it is made of, its model, its geometries and the source."
            )
    import h5py

    new = path.with_name(path.name + ".new")
    try:
        with h5py.File(new, "w") as file:
            file.attrs["seisops"] = FORMAT
            for name, thing in things.items():
                _write(file, name, thing)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def load(path: str | Path) -> dict:
    """Read what :func:`save` has written.

    Parameters
    ----------
    path : path to `.h5`

    Returns
    -------
    dict of name to Model, Geometry, Records, array, number or str

    Raises
    ------
    ValueError
        For a file of another origin, or of a newer version of this library.

    Examples
    --------
    >>> import seisops as so, tempfile, os
    >>> name = os.path.join(tempfile.mkdtemp(), "numbers.h5")
    >>> so.save(name, f0=0.02, band="low")
    >>> so.load(name)
    {'band': 'low', 'f0': 0.02}
    """
    path = _checked(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    import h5py

    with h5py.File(path) as file:
        version = file.attrs.get("seisops")
        if version is None:
            raise ValueError(f"{path.name} was not written by so.save; so.models.load reads velocities from any HDF5.")
        if version > FORMAT:
            raise ValueError(f"{path.name} has format {version}, this version reads up to {FORMAT}: update seisops.")
        return {name: _read(file[name]) for name in file}


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise ValueError(f"so.save and so.load know files .h5, got {path.name}; for SEG-Y see so.segy.")
    return path


def _write(file, name: str, thing) -> None:
    if isinstance(thing, Model):
        group = _group(file, name, "Model")
        medium = thing.medium
        if getattr(physics, type(medium).__name__, None) is not type(medium):
            raise TypeError(
                f"{name} is of a medium of your own, {type(medium).__name__}: save its parameters as arrays."
            )
        group.attrs["medium"], group.attrs["dtype"] = type(medium).__name__, thing.dtype.name
        for f in fields(medium) if is_dataclass(medium) else ():
            group.attrs[f"medium.{f.name}"] = getattr(medium, f.name)
        for option in OPTIONS:
            group.attrs[option] = getattr(thing, option)
        for key, x in thing.parameters.items():
            group[key] = x
    elif isinstance(thing, Geometry):
        _write_geometry(_group(file, name, "Geometry"), thing)
    elif isinstance(thing, Records):
        group = _group(file, name, "Records")
        _write_geometry(group.create_group("geometry"), thing.geometry)
        group["d"] = np.asarray(thing)
    else:
        file[name] = thing


def _group(file, name: str, kind: str):
    group = file.create_group(name)
    group.attrs["kind"] = kind
    return group


def _write_geometry(group, geometry: Geometry) -> None:
    group["positions"] = np.concatenate(geometry.positions)
    group["counts"] = geometry.counts
    for key in ("dt", "nt", "t", "t0", "single"):
        group.attrs[key] = getattr(geometry, key)


def _read(item):
    kind = item.attrs.get("kind")
    if kind == "Model":
        settings = {f.removeprefix("medium."): x.item() for f, x in item.attrs.items() if f.startswith("medium.")}
        options = {k: x.tolist() if isinstance(x, np.ndarray) else x.item() for k in OPTIONS for x in [item.attrs[k]]}
        medium = getattr(physics, item.attrs["medium"])(**settings)
        parameters = {key: x[()] for key, x in item.items()}
        return Model(physics=medium, dtype=item.attrs["dtype"], **options, **parameters)
    if kind == "Geometry":
        return _read_geometry(item)
    if kind == "Records":
        return Records(_read_geometry(item["geometry"]), item["d"][()])
    value = item[()]
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value


def _read_geometry(group) -> Geometry:
    counts = group["counts"][()]
    shots = np.split(group["positions"][()], np.cumsum(counts)[:-1])
    dt, nt, t = (group.attrs[key].item() for key in ("dt", "nt", "t"))
    # Of what is written the recording time may end between two samples.
    length = {"t": t} if t > (nt - 1) * dt else {"nt": nt}
    # Files of format 1 know records from 0 on.
    geometry = Geometry(shots, dt=dt, t0=float(group.attrs.get("t0", 0.0)), **length)
    return geometry[0] if group.attrs["single"] else geometry
