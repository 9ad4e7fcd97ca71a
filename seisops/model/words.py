"""What a model says of itself."""

from __future__ import annotations

from seisops.cards import card
from seisops.physics.medium import Parameter, Spelling


def html(model) -> str:
    """The model as a table, which notebooks show in the place of its ``repr``."""
    known = model.medium.parameters | model.medium.spellings
    shown = [*model._parameters, *(n for n, s in model.medium.spellings.items() if s.of in model._parameters)]
    rows = [(n, f"{getattr(model, n).min():.4g} to {getattr(model, n).max():.4g}{_unit(known[n])}") for n in shown]
    axes = "xz" if model.ndim == 2 else "xyz"
    rows += [
        (axis, f"{n} points every {d:g} m, from {low:g} to {high:g} m")
        for axis, n, d, (low, high) in zip(axes, model.shape, model.spacing, model.extent, strict=True)
    ]
    edges = f"{model.absorb} cells of CPML" + (", free surface" if model.free_surface else "")
    rows += [("time step", f"{model.dt:.4g} ms, for {model.vmax:.4g} km/s at most"), ("edges", edges)]
    return card(f"Model, {type(model.medium).__name__}, {model.dtype.name}", rows)


def line(model) -> str:
    """The model in one line."""

    def by(values):
        return " x ".join(f"{x:g}" for x in values)

    # A parameter as most users know it.
    shown = {spelling.of: name for name, spelling in model.medium.spellings.items() if spelling.known}
    known = model.medium.parameters | model.medium.spellings
    names = [shown.get(name, name) for name in model._parameters]
    values = ((name, getattr(model, name), _unit(known[name])) for name in names)
    ranges = ", ".join(f"{name} {x.min():.4g}-{x.max():.4g}{unit}" for name, x, unit in values)
    top = ", free surface" if model.free_surface else ""
    return (
        f"Model({by(model.shape)}, spacing {by(model.spacing)} m, {ranges}, "
        f"dt {model.dt:.4g} ms, CPML {model.absorb} cells{top}, {model.dtype.name})"
    )


def _unit(parameter: Parameter | Spelling) -> str:
    """The unit behind a value; nothing of a pure number."""
    return "" if parameter.unit in ("", "1") else f" {parameter.unit}"
