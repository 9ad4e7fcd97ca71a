"""What the site is made of is whole: every public name, every page, every example with a title and options it takes."""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

import seisops as so

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# Names of modules without a list: what they define.
LISTED = {"checks", "conditions", "models", "plot"}
# Of the algebra and the conditions, what is for the library itself.
INNER = {
    "ShotIndex",
    "MEDIA",
    "Jacobian",
    "compose",
    "no_fusion",
    "Perturbations",
    "ADJOINT_STATE",
    "second_time_difference",
}


def of_docs(name):
    """A module of the site's own."""
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module(name)
    sys.path.remove(str(DOCS))
    sys.modules.pop(name)


@pytest.fixture(scope="module")
def gallery():
    yield from of_docs("gallery")


@pytest.fixture(scope="module")
def media_pages():
    yield from of_docs("media_pages")


def documented():
    """Every name of the API page, with its module."""
    module, found = "", set()
    for line in (DOCS / "api.rst").read_text().splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            found.add(f"{module}.{line.strip()}")
    return found


def public():
    """Every name that users are shown."""
    for name in so.__all__:
        thing = getattr(so, name)
        if not inspect.ismodule(thing):
            yield f"seisops.{name}"
            continue
        own = getattr(thing, "__all__", None)
        if own is None:
            own = [n for n, x in vars(thing).items() if getattr(x, "__module__", "") == thing.__name__ and n[0] != "_"]
        if name != "wavelets":
            yield from (f"seisops.{name}.{n}" for n in own if n not in INNER)
    yield from ("seisops.wavelets.WaveletWarning", "seisops.wavelets.UndersampledWarning", "seisops.units.UnitsWarning")
    for package in ("seisops_torch", "seisops_keras", "seisops_jax"):
        text = (ROOT / "adapters" / package / "__init__.py").read_text()
        yield from (f"{package}.{n}" for n in ast.literal_eval(re.search(r"__all__ = (\[.*\])", text, re.S)[1]))


def test_every_public_name_is_in_the_reference():
    assert set(public()) <= documented()


def test_what_is_in_the_reference_is_there():
    for name in documented():
        module, _, last = name.rpartition(".")
        if module.startswith("seisops_"):
            continue
        thing = so
        for part in module.split(".")[1:]:
            thing = getattr(thing, part, None) or sys.modules[f"seisops.{part}"]
        assert hasattr(thing, last), name


@pytest.mark.parametrize("medium", so.physics.MEDIA, ids=lambda m: m.__name__)
def test_the_page_of_a_medium_has_what_it_says_of_itself(media_pages, medium):
    lines = []
    media_pages.describe(None, "class", "", medium, None, lines)
    text = "\n".join(lines)
    for name, p in medium.parameters.items():
        assert re.search(rf"   \* - ``{name}``\n     - {re.escape(p.title)}\n     - {re.escape(p.unit)}\n", text)
    assert f"**Free surface**: {'yes' if medium.free_surface else 'no'}." in text
    assert '``"p"``' in text
    # Of a base class, or of anything else, there is nothing to say.
    rest = []
    for other in (so.physics.Solid, so.physics.Parameter, so.Model):
        media_pages.describe(None, "class", "", other, None, rest)
    assert not rest


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.glob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.S):
            listed |= {line for line in block.splitlines() if line and not line.startswith(":")}
    assert {p.stem for p in [*DOCS.glob("*.md"), *DOCS.glob("*.rst")]} - {"index"} == listed - {"gallery/index"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_title_and_the_options_of_the_gallery(path, gallery, tmp_path):
    text = (gallery.titled(path.parent, tmp_path) / path.name).read_text()
    title, line, *_ = ast.get_docstring(ast.parse(text)).splitlines()
    assert title and line == "=" * len(title)
    # The code is the example's own.
    plain, shown = (ast.parse(t).body[1:] for t in (path.read_text(), text))
    assert list(map(ast.dump, plain)) == list(map(ast.dump, shown))
    options = {a for a in gallery.SIZES.get(path.stem, gallery.SMALL) if a.startswith("--")}
    parsers = {"seisops.scene": ROOT / "seisops" / "scene.py", "noisy_records": path.with_name("noisy_records.py")}
    places = [path, *(place for name, place in parsers.items() if name in path.read_text())]
    assert options <= {name for place in places for name in re.findall(r'"(--[\w-]+)"', place.read_text())}


def test_pages_lead_to_the_pages_of_the_repository(gallery):
    """Links out of docs/ have a page of the site to go to."""
    pages = {"README": "start", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}
    conf = (DOCS / "conf.py").read_text()
    assert all(f'"{a}": "{b}"' in conf and (DOCS / f"{b}.md").exists() for a, b in pages.items())
    for page in DOCS.glob("*.md"):
        assert set(re.findall(r"\]\(\.\./(\w+)\.md", page.read_text())) <= set(pages)
