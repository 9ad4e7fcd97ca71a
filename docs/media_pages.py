"""What a wave equation says of itself, for its page: parameters with their units, what is recorded, where it holds."""

from __future__ import annotations

from seisops.physics.medium import Medium

# Of media that need an option to be made.
OPTIONS = {"f_ref": 0.01}


def described(medium: Medium) -> list[str]:
    """Lines of reStructuredText."""
    lines = ["", ".. rubric:: Parameters of a model", "", ".. list-table::", "   :header-rows: 1", ""]
    rows = [("name", "what it is", "unit", "if not given")]
    for name, p in medium.parameters.items():
        rows.append((f"``{name}``", p.title, p.unit, "" if p.default is None else f"{p.default:g}"))
    for name, s in medium.spellings.items():
        rows.append((f"``{name}``", f"{s.title}, in the place of {s.of}", s.unit, ""))
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    components = ", ".join(f'``"{c}"``' for c in medium.components(3))
    step = medium.stable_step((1000.0,) * 2, 8) / 1000
    return [
        *lines,
        "",
        f"**Recorded and injected in 3-D**: {components}.",
        "",
        f"**Free surface**: {'yes' if medium.free_surface else 'no'}.",
        "",
        f"**Stable** at order 8 in 2-D for :math:`v_\\max\\,h \\le {step:.3g}\\,d`, with spacing d; the default step "
        "keeps to it.",
        "",
        "What it costs is in the table of :doc:`/media`.",
        "",
    ]


def describe(app, what: str, name: str, thing: object, options, lines: list[str]) -> None:
    """Put it below the docstring of a medium."""
    if what == "class" and isinstance(thing, type) and issubclass(thing, Medium) and hasattr(thing, "speed"):
        lines += described(thing(**{o: OPTIONS[o] for o in thing.options if o in OPTIONS}))


def setup(app) -> dict:
    """Hook in after numpydoc, which makes sections of a docstring."""
    app.connect("autodoc-process-docstring", describe, priority=900)
    return {"parallel_read_safe": True}
