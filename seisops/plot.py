"""Pictures of models, images and shot records; axes are in km and s, as figures of papers have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from seisops.axes import along, columns, cut, names, on_grid
from seisops.geometry import Geometry
from seisops.model import Model


def section(model: Model, values: ArrayLike | None = None, ax=None, *, title: str = "", label: str | None = None,
            clip: float | None = None, limits: tuple[float, float] | None = None, survey: Sequence[Geometry] = (),
            across: str = "y", at: float | None = None):  # fmt: skip
    """A section of a model: velocities, or a perturbation about zero. In 3-D it is a slice.

    Parameters
    ----------
    model : Model
        Gives the axes.
    values : array of ``model.shape``, or flat, optional
        The velocity by default.
    ax : matplotlib axes, optional
    title, label : str
        Above the picture, and on its colour bar.
    clip : float, optional
        Percentile at which a perturbation is clipped, symmetric about zero; a velocity without.
    limits : (float, float), optional
        Ends of the colour bar.
    survey : sequence of Geometry
        Points to draw: sources as stars, further ones as triangles.
    across : {"x", "y", "z"}
        In 3-D, the axis that the slice stands across; "z" is a map.
    at : float, m, optional
        Where on that axis; its middle by default.

    Returns
    -------
    matplotlib axes
    """
    ax = _axes(ax)
    values, label = on_grid(model, values, label)
    if limits is None and clip is not None:
        limit = np.percentile(np.abs(values), clip) or 1.0
        limits = (-limit, limit)
    low, high = limits or (values.min(), values.max())
    axes, picture, where = cut(model, values, across, at)
    (h, (h0, h1)), (v, (v0, v1)) = ((i, np.array(model.extent[i]) / 1000) for i in axes)
    image = ax.imshow(picture.T, extent=(h0, h1, v1, v0), cmap="gray" if clip is not None else "turbo", vmin=low,
                      vmax=high, aspect="auto", interpolation="bilinear")  # fmt: skip
    for geometry, marker in zip(survey, "*vv", strict=False):
        points = np.concatenate(geometry.positions) / 1000
        ax.plot(points[:, h], points[:, v], marker, ms=4, color="white", mec="black", mew=0.4, clip_on=False)
    ax.set(xlabel=f"{names(model)[h]} (km)", ylabel=f"{names(model)[v]} (km)", title=title or where)
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)
    return ax


def slices(model: Model, values: ArrayLike | None = None, *, at: Sequence[float] | None = None, **options):
    """Three slices of a 3-D model, across each of its axes; the section of a 2-D one.

    Parameters
    ----------
    model : Model
    values : array of ``model.shape``, or flat, optional
        The velocity by default.
    at : (x, y, z), m, optional
        The point that the slices meet in; the middle of the model by default.
    **options
        Of :func:`section`.

    Returns
    -------
    matplotlib figure
    """
    import matplotlib.pyplot as plt

    across = "y" if model.ndim == 2 else "yxz"
    figure, axes = plt.subplots(1, len(across), figsize=(6 * len(across), 4.5), layout="constrained", squeeze=False)
    for ax, name in zip(axes[0], across, strict=True):
        position = None if at is None or model.ndim == 2 else at["xyz".index(name)]
        section(model, values, ax, across=name, at=position, **options)
    return figure


def shot(geometry: Geometry, d: ArrayLike, ax=None, *, i: int = 0, clip: float = 98.0, title: str = "",
         like: ArrayLike | None = None):  # fmt: skip
    """A shot record, time downwards, every trace where its receiver is.

    Parameters
    ----------
    geometry : Geometry
        Of the receivers.
    d : array of ``geometry.shape``, or flat
    ax : matplotlib axes, optional
    i : int
        Which shot.
    clip : float
        Percentile at which amplitudes are clipped.
    title : str
    like : array, optional
        Data whose amplitudes set the clip, to compare two records.

    Returns
    -------
    matplotlib axes

    Notes
    -----
    Along the coordinate in which the receivers spread most. Between receivers further apart than most it is white;
    those of which several have one coordinate, such as a grid of them, stand side by side by their number.
    """
    ax = _axes(ax)
    record = geometry.split(d)[i]
    limit = np.percentile(np.abs(record if like is None else geometry.split(like)[i]), clip) or 1.0
    x, name = along(geometry.positions[i])
    start, end = geometry.time[[0, -1]] / 1000
    options = {"cmap": "gray", "vmin": -limit, "vmax": limit}
    steps = np.diff(x)
    if len(x) == 1 or np.allclose(steps, steps[0], rtol=1e-3):
        half = steps[0] / 2 if len(x) > 1 else 0.5
        ax.imshow(record.T, extent=(x[0] - half, x[-1] + half, end, start), aspect="auto", **options)
    else:
        edges, traces = columns(x, record)
        times = np.linspace(start, end, geometry.nt + 1)
        ax.pcolormesh(edges, times, traces.T, **options)
        ax.invert_yaxis()
    ax.set(xlabel=name, ylabel="time (s)", title=title)
    return ax


def survey(*geometries: Geometry, model: Model | None = None, ax=None, title: str = ""):
    """Where a survey fires and records: sources as stars, further points as triangles.

    Parameters
    ----------
    *geometries : Geometry
        Of the sources, and of the receivers.
    model : Model, optional
        Drawn behind them.
    ax : matplotlib axes, optional
    title : str

    Returns
    -------
    matplotlib axes
    """
    if model is not None:
        return section(model, ax=ax, survey=geometries, title=title, across="z" if model.ndim == 3 else "y")
    ax = _axes(ax)
    for geometry, marker in zip(geometries, "*vv", strict=False):
        points = np.concatenate(geometry.positions) / 1000
        ax.plot(points[:, 0], points[:, 1], marker, ms=5, mec="black", mew=0.4)
    if geometries[0].ndim == 2:
        ax.invert_yaxis()
    ax.set(xlabel="x (km)", ylabel="depth (km)" if geometries[0].ndim == 2 else "y (km)", title=title)
    return ax


def overlay(model: Model, values: ArrayLike, image: ArrayLike, ax=None, *, clip: float = 98.0, title: str = "",
            label: str = "", opacity: float = 0.6):  # fmt: skip
    """An image over a velocity, to see whether reflectors lie where velocities change.

    Parameters
    ----------
    model : Model
        Gives the axes.
    values, image : array of ``model.shape``
    ax : matplotlib axes, optional
    clip : float
        Percentile at which the image is clipped.
    title, label : str
        Above the picture, and on the velocity's colour bar.
    opacity : float
        Of the image, where it is strongest.

    Returns
    -------
    matplotlib axes
    """
    ax = section(model, values, ax, title=title, label=label)
    image, _ = on_grid(model, image, "")
    _, image, _ = cut(model, image, "y", None)
    limit = np.percentile(np.abs(image), clip) or 1.0
    strength = np.clip(np.abs(image) / limit, 0, 1).T * opacity
    ax.imshow(image.T, extent=ax.images[0].get_extent(), cmap="gray", vmin=-limit, vmax=limit, alpha=strength,
              aspect="auto", interpolation="bilinear")  # fmt: skip
    return ax


def movie(model: Model, u: ArrayLike, path: str | Path, *, times: ArrayLike | None = None, frames: int = 60,
          clip: float = 99.5, rate: int = 15, values: ArrayLike | None = None) -> None:  # fmt: skip
    r"""A wavefield in motion, as a GIF or, where FFmpeg is installed, an MP4.

    Parameters
    ----------
    model : Model
    u : array (time, \*model.shape), or (nt_comp, \*model.padded_shape)
        A wavefield of one shot, such as ``so.snapshots(F, q, every=10).u[0]`` or ``(A @ Ps.H @ q)[0]``.
    path : path to `.gif` or `.mp4`
    times : array, ms, optional
        Of `u`, for the title; the computational steps by default.
    frames : int
        Pictures, spread evenly over the time steps.
    clip : float
        Percentile at which amplitudes are clipped, over all times.
    rate : int
        Pictures a second.
    values : array of ``model.shape``, optional
        What to see behind it; the velocity by default.

    Raises
    ------
    ValueError
        For a wavefield of another shape, or another kind of file.
    """
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation

    u, path = np.asarray(u), Path(path)
    if u.shape[1:] == model.padded_shape:
        u = model.crop(u)
    if u.shape[1:] != model.shape or model.ndim != 2:
        raise ValueError(f"A movie is of one shot in 2-D, (nt, {', '.join(map(str, model.padded_shape))}) or "
                         f"(time, {', '.join(map(str, model.shape))}); got {u.shape}.")  # fmt: skip
    times = model.dt * np.arange(len(u)) if times is None else np.asarray(times)
    if times.shape != (len(u),):
        raise ValueError(f"{len(u)} pictures have {times.size} times.")
    writers = {".gif": "pillow", ".mp4": "ffmpeg"}
    if path.suffix.lower() not in writers:
        raise ValueError(f"A movie is a file of {' or '.join(writers)}, got {path.name}.")
    steps = np.unique(np.linspace(0, len(u) - 1, frames).astype(int))
    figure, ax = plt.subplots(layout="constrained")
    section(model, model.v if values is None else values, ax, label="km/s")
    limit = np.percentile(np.abs(u[steps]), clip) or 1.0
    picture = ax.imshow(np.zeros(model.shape).T, extent=ax.images[0].get_extent(), cmap="gray", vmin=-limit, vmax=limit,
                        alpha=0.6, aspect="auto")  # fmt: skip

    def show(n: int):
        picture.set_data(u[n].T)
        ax.set_title(f"{times[n]:.0f} ms")
        return (picture,)

    FuncAnimation(figure, show, steps).save(path, writer=writers[path.suffix.lower()], fps=rate)
    plt.close(figure)


def convergence(curves: dict[str, ArrayLike], ax=None, *, title: str = "", label: str = "relative residual"):
    """One curve for every solver, logarithmic.

    Parameters
    ----------
    curves : dict of name to values
    ax : matplotlib axes, optional
    title, label : str

    Returns
    -------
    matplotlib axes
    """
    ax = _axes(ax)
    for name, values in curves.items():
        ax.semilogy(np.asarray(values), ".-", label=name)
    ax.set(xlabel="iteration", ylabel=label, title=title)
    ax.grid(True, which="both", alpha=0.3)
    ax.legend()
    return ax


def _axes(ax):
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


# A model and a survey are below pictures and cannot import them: what draws them is given to them here.
Model.plot = slices
Geometry.plot = lambda geometry, *others, **options: survey(geometry, *others, **options)
