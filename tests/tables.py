"""The tables of what the adapters can: a row is a test, marked ``row(section, what, verdict)``.

The tests print them; ``pytest tests/adapters_torch --write-tables`` puts them into the documentation, and a test
compares it with them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DOCUMENTS = {"adapters_torch": "pytorch.md", "adapters_keras": "keras.md", "adapters_jax": "jax.md"}
DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- printed by the tests -->\n", "<!-- end -->\n"

Row = tuple[str, str, str, str]


def rows_of(item) -> list[Row]:
    """Section, what is tried, verdict and test of every mark of a test."""
    return [(*mark.args, item.originalname) for mark in reversed(list(item.iter_markers("row")))]


def table(rows: list[Row]) -> str:
    """The rows in Markdown, one table a section."""
    lines = []
    for section in dict.fromkeys(row[0] for row in rows):
        lines += [f"### {section}", "", "| what | verdict | test |", "|---|---|---|"]
        here = dict.fromkeys(row[1:] for row in rows if row[0] == section)
        lines += [f"| {what} | {verdict} | `{test}` |" for what, verdict, test in here]
        lines.append("")
    return "\n".join(lines)


def rows_in(text: str) -> set[str]:
    """The lines of a table that are rows."""
    return {line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what ")}


def compare(request) -> None:
    """Assert that the documentation shows the rows of the tests, or write them there if asked to.

    Of a part of the tests only their own rows are looked for.
    """
    folder = request.path.parent
    path = DOCS / DOCUMENTS[folder.name]
    collected = [item for item in request.config.stash[COLLECTED] if item.path.parent == folder]
    rows = table([row for item in collected for row in rows_of(item)])
    before, rest = path.read_text().split(BEGIN)
    documented, after = rest.split(END)
    files = {item.path for item in collected}
    config = request.config
    parts = any("::" in str(argument) for argument in config.args)
    whole = files == set(folder.glob("test_*.py")) and not parts
    if config.getoption("write_tables"):
        assert whole, "The tables are those of all tests of a folder."
        path.write_text(f"{before}{BEGIN}{rows}{END}{after}")
    elif whole:
        assert documented == rows, f"write {path.name} again, with --write-tables"
    else:
        assert rows_in(rows) <= rows_in(documented), f"write {path.name} again, with --write-tables"


# ---------------------------------------------------------------------- hooks, which conftest.py takes over

# All tests there are, also those that are not asked for now.
COLLECTED = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--write-tables", action="store_true", help="put the adapters' tables into the documentation")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    config.stash[COLLECTED] = list(items)
    for item in items:
        # What a report carries from the process that runs a test to the one that prints.
        item.user_properties += [("row", row) for row in rows_of(item)]


def pytest_terminal_summary(terminalreporter):
    rows = []
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, row in getattr(report, "user_properties", []):
                if name == "row" and (report.when == "call" or outcome != "passed"):
                    section, what, verdict, test = row
                    rows.append((section, what, verdict if outcome == "passed" else "**FAILS**", test))
    if rows:
        terminalreporter.write("\n" + table(rows))
