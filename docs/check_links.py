"""Whether every link within the built site leads somewhere: ``python check_links.py _build/html``."""

import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

ROOT = Path(sys.argv[1]).resolve()


@cache
def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


@cache
def names(path: Path) -> set[str]:
    return {tag[key] for tag in page(path).find_all(True) for key in ("id", "name") if tag.has_attr(key)}


def broken(path: Path, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc or not (url.path or url.fragment):
        return False
    target = (path.parent / unquote(url.path)).resolve() if url.path else path
    if not target.exists():
        return True
    return bool(url.fragment) and target.suffix == ".html" and unquote(url.fragment) not in names(target)


found, count = [], 0
for path in sorted(ROOT.rglob("*.html")):
    if "_static" in path.parts:
        continue
    for tag in page(path).find_all(["a", "img", "link", "script"]):
        link = tag.get("href") or tag.get("src") or ""
        count += 1
        if broken(path, link):
            found.append(f"{path.relative_to(ROOT)}: {link}")
print(f"{count} links, {len(found)} lead nowhere", *found, sep="\n  ")
sys.exit(bool(found))
