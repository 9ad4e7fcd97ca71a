"""What a notebook shows of an operator: what it takes and gives, the medium and the survey it is of."""

from __future__ import annotations

from seisops.algebra.operator import SeismicOperator
from seisops.algebra.tree import leaves
from seisops.cards import card

# The axes behind the shots of what operators take and give.
AXES = {"data": ("point", "time"), "wavefields": ("time step", "x", "y", "z"), "grid": ("x", "y", "z")}


def html(op: SeismicOperator) -> str:
    """The operator as a table, which notebooks show in the place of its ``repr``."""
    rows = [("takes", _array(op, op.takes, op.dims)), ("gives", _array(op, op.gives, op.dimsd))]
    if op.model is not None:
        rows.append(("model", repr(op.model)))
    surveys: dict[str, None] = {}
    for part in leaves(op):
        geometry = getattr(part, "geometry", None)
        if geometry is not None and getattr(part, "samples", False):
            surveys[f"{part.sentence if part.source_name is None else 'points'}: {geometry!r}"] = None
    rows += [("survey", text) for text in surveys]
    rows.append(("precision", op.dtype.name))
    return card(op.sentence, rows)


def _array(op: SeismicOperator, kind: str, dims: tuple[int, ...]) -> str:
    """The shape of an array with the names of its axes."""
    names = AXES.get(kind)
    if names is not None and op.model is not None and "x" in names and op.model.ndim == 2:
        names = tuple(n for n in names if n != "y")
    sizes = " x ".join(map(str, dims))
    if names is None or not len(names) <= len(dims) <= len(names) + 1:
        return sizes
    shots = ("shot",) if len(dims) > len(names) else ()
    return f"{sizes} ({', '.join((*shots, *names))}), {kind}"
