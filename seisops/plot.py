"""Pictures of models, images and shot records, with axes in the units of the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from seisops.geometry import Geometry
from seisops.model import Model


def section(model: Model, values: ArrayLike, ax=None, *, title: str = "", label: str = "", clip: float | None = None,
            limits: tuple[float, float] | None = None, survey: Sequence[Geometry] = ()):  # fmt: skip
    """A section of a 2-D model: velocities, or a perturbation about zero.

    Parameters
    ----------
    model : Model
        Gives the axes.
    values : array of ``model.shape``
    ax : matplotlib axes, optional
    title, label : str
        Above the picture, and on its colour bar.
    clip : float, optional
        Percentile at which a perturbation is clipped, symmetric about zero; a velocity without.
    limits : (float, float), optional
        Ends of the colour bar.
    survey : sequence of Geometry
        Points to draw: sources as stars, further ones as triangles.

    Returns
    -------
    matplotlib axes
    """
    ax = _axes(ax)
    values = np.asarray(values)
    (x0, x1), (z0, z1) = ((a / 1000, b / 1000) for a, b in model.extent)
    if limits is None and clip is not None:
        limit = np.percentile(np.abs(values), clip) or 1.0
        limits = (-limit, limit)
    low, high = limits or (values.min(), values.max())
    image = ax.imshow(values.T, extent=(x0, x1, z1, z0), cmap="gray" if clip is not None else "turbo", vmin=low,
                      vmax=high, aspect="auto", interpolation="bilinear")  # fmt: skip
    for geometry, marker in zip(survey, "*vv", strict=False):
        points = np.concatenate(geometry.positions) / 1000
        ax.plot(points[:, 0], points[:, -1], marker, ms=4, color="white", mec="black", mew=0.4, clip_on=False)
    ax.set(xlabel="x (km)", ylabel="depth (km)", title=title)
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)
    return ax


def shot(geometry: Geometry, d: ArrayLike, ax=None, *, i: int = 0, clip: float = 98.0, title: str = "",
         like: ArrayLike | None = None):  # fmt: skip
    """A shot record, time downwards.

    Parameters
    ----------
    geometry : Geometry
        Of the receivers.
    d : array of ``geometry.shape``
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
    """
    ax = _axes(ax)
    record = geometry.split(d)[i]
    x = geometry.positions[i][:, 0] / 1000
    limit = np.percentile(np.abs(record if like is None else geometry.split(like)[i]), clip) or 1.0
    ax.imshow(record.T, extent=(x[0], x[-1], geometry.time[-1] / 1000, 0), cmap="gray", vmin=-limit, vmax=limit,
              aspect="auto")  # fmt: skip
    ax.set(xlabel="receiver x (km)", ylabel="time (s)", title=title)
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
    image = np.asarray(image)
    limit = np.percentile(np.abs(image), clip) or 1.0
    strength = np.clip(np.abs(image) / limit, 0, 1).T * opacity
    ax.imshow(image.T, extent=ax.images[0].get_extent(), cmap="gray", vmin=-limit, vmax=limit, alpha=strength,
              aspect="auto", interpolation="bilinear")  # fmt: skip
    return ax


def movie(model: Model, u: ArrayLike, path: str | Path, *, frames: int = 60, clip: float = 99.5, rate: int = 15,
          values: ArrayLike | None = None) -> None:  # fmt: skip
    """A wavefield in motion, as a GIF or, where FFmpeg is installed, an MP4.

    Parameters
    ----------
    model : Model
    u : array (nt_comp, *model.padded_shape)
        A wavefield of one shot, such as ``(A @ Ps.H @ q)[0]``.
    path : path to `.gif` or `.mp4`
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
    if u.shape[1:] != model.padded_shape:
        raise ValueError(f"A wavefield of one shot has shape (nt, {', '.join(map(str, model.padded_shape))}), "
                         f"got {u.shape}.")  # fmt: skip
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
        picture.set_data(model.crop(u[n]).T)
        ax.set_title(f"{n * model.dt:.0f} ms")
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
