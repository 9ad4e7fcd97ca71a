"""The examples as a gallery: with the titles it wants, and at sizes that take seconds."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

SMALL = ("--shots", "6", "--iterations", "6", "--cells", "161", "81")
SIZES = {
    "density_crosstalk": ("--shots", "6", "--iterations", "10", "--cells", "61", "61"),
    "elastic_fwi": ("--shots", "6", "--iterations", "6", "--cells", "61", "61"),
    "elastic_network": ("--shots", "6", "--iterations", "20", "--cells", "61", "61"),
    "extended_source": ("--iterations", "12", "--cells", "161", "81"),
    "field_workflow": ("--shots", "8", "--cells", "161", "81"),
    "fwi_bands": (*SMALL, "--receivers", "80", "--time", "1400", "--bands", "5", "8"),
    "image_gathers": ("--shots", "8", "--cells", "161", "81"),
    "networks_keras": (),
    "networks_torch": (),
    "own_equation": ("--shots", "6", "--iterations", "8", "--cells", "81", "61"),
    "vti_rtm": ("--shots", "8", "--cells", "161", "81"),
    "noisy_records": ("--iterations", "10"),
    "source_network": ("--records", "32", "--held-out", "4", "--epochs", "4"),
    "unrolled_lsrtm": ("--held-out", "1"),
    "unrolled_lsrtm_jax": ("--held-out", "1"),
    "unrolled_lsrtm_keras": ("--held-out", "1"),
    "velocity_analysis": ("--shots", "8"),
}
HEADER = """Gallery
=======

Every example is a script that runs by itself, ``python fwi.py``, and says what it takes with ``--help``. Here they ran
at sizes that take seconds; pictures of the full sizes are better.
"""


def titled(source: Path, target: Path) -> Path:
    """Copy the examples, the first clause of what each says of itself made a title, and leave unchanged ones alone."""
    target.mkdir(parents=True, exist_ok=True)
    weights = {path.name: path for path in source.glob("*.npz")}
    texts = {path.name: _titled(path.read_text()) for path in source.glob("*.py")} | {"GALLERY_HEADER.rst": HEADER}
    for path in target.iterdir():
        if path.name not in {*texts, *weights}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in texts.items():
        path = target / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for name, path in weights.items():
        shutil.copy2(path, target / name)
    return target


def _titled(script: str) -> str:
    first, rest = re.match(r'r?"""(.*?)(?=\n|""")(.*)', script, re.S).groups()
    title, _, said = first.rstrip(".").partition(": ")
    line = f"\n\n{said[0].upper()}{said[1:]}." if said else ""
    return f'r"""{title}\n{"=" * len(title)}{line}{rest}'


class Arguments:
    """The command line of an example in the gallery.

    Parameters
    ----------
    pictures : path
        Where an example writes its own.
    """

    def __init__(self, pictures: Path) -> None:
        self.pictures = pictures

    def __call__(self, gallery_conf: dict, script_vars: dict) -> list[str]:
        script = Path(script_vars["src_file"])
        chosen = SIZES.get(script.stem, SMALL)
        # It runs in its own folder, and says where its picture is.
        return [*chosen, "--output", os.path.relpath(self.pictures, script.parent)] if chosen else []

    def __repr__(self) -> str:
        # What Sphinx compares to know whether to build anew.
        return f"Arguments({SIZES}, {SMALL})"
