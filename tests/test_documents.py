"""The snippets of the README and of the pages in docs/ run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("products", "media", "equation", "inversion", "velocity", "imaging", "segy", "trust", "scale", "coming")


def snippets(page):
    """The Python of a page, block after block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)


@pytest.mark.long
def test_the_snippets_run(tmp_path):
    start, *rest = snippets("README.md")
    pages = {"README.md": "\n".join(rest)} | {f"docs/{n}.md": "\n".join(snippets(f"docs/{n}.md")) for n in PAGES}
    # Every page goes on from the quick start, and from nothing else.
    code = f"{start}\nbefore = dict(globals())\nfor page, code in {pages!r}.items():\n"
    code += "    print(page, flush=True)\n    exec(compile(code, page, 'exec'), dict(before))\n"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert set(pages) <= set(done.stdout.splitlines())
    assert (tmp_path / "image.png").stat().st_size > 10_000


# `make docs` makes it, and checks the links of what it makes.
MADE = ("gallery/", "generated/")


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert link.startswith(MADE) or (page.parent / link).exists(), f"{page.name} links to {link}"
