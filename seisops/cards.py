"""What a notebook shows of a thing: its sentence and a small table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def card(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A title over a table of names and values, in HTML."""
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<div><code>{escape(title)}</code><table>{body}</table></div>"
