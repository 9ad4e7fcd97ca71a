"""How Sphinx makes the site of the Markdown in this folder, the README, the examples and the docstrings."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = HERE / "_build"
# Bars of progress are for terminals; read when tqdm is imported.
os.environ["TQDM_DISABLE"] = "1"
sys.path.insert(0, str(HERE))

from gallery import Arguments, titled  # noqa: E402

import seisops  # noqa: E402

# What users name by a shorter way than the files stand.
for short in ("conditions", "misfits", "preconditioners"):
    sys.modules[f"seisops.{short}"] = getattr(seisops, short)

project, author, release = "seisops", "the seisops authors", seisops.__version__
copyright = author
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "media_pages",
]
templates_path, html_static_path, html_css_files = ["_templates"], ["_static"], ["site.css"]
exclude_patterns = [
    "_build",
    "generated/*.md",
    "gallery/*.ipynb",
    "gallery/*.py",
    "gallery/*.md5",
]

html_theme, html_title = "pydata_sphinx_theme", "seisops"
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "start": [], "theory": [], "contributing": [], "changelog": []}
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
# On file systems without upper case the two of a name would be one file.
autosummary_filename_map = {f"seisops.{n}": f"seisops.{n}-function" for n in ("modeling", "parametrisation")}
autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": [str(titled(ROOT / "examples", BUILT / "examples"))],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "reset_argv": Arguments(BUILT / "pictures"),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "min_reported_time": 10**6,
    # Two at a time, as an example builds kernels on one core for most of its time.
    "parallel": 2,
    "write_computation_times": False,
    "default_thumb_file": str(HERE / "fwi.png"),
}

# Where the pages that stand outside of this folder are on the site.
ELSEWHERE = {"README": "start", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}


def lead_to_the_site(app, name: str, text: list[str]) -> None:
    """Turn links to the README and its neighbours, which are right in the repository, into those of their pages."""
    text[0] = re.sub(r"\]\(\.\./(\w+)\.md", lambda found: f"]({ELSEWHERE[found[1]]}.md", text[0])


def setup(app) -> None:
    """Hook in."""
    app.connect("source-read", lead_to_the_site)
