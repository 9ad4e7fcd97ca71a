"""Shared by all tests: Hypothesis without chance, and white noise without the warning that a grid cannot carry it."""

import pytest
from hypothesis import settings
from tables import pytest_addoption, pytest_collection_modifyitems, pytest_deselected, pytest_terminal_summary  # noqa: F401

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=150, database=None)
settings.load_profile("fixed")


def pytest_configure(config):
    # The laws hold for every vector, random ones too; that the warning comes is a test of its own.
    config.addinivalue_line("markers", "row(section, what, verdict): a row of an adapter's table in the documentation")
    config.addinivalue_line("filterwarnings", "ignore::seisops.wavelets.UndersampledWarning")


@pytest.fixture
def counted():
    """A function that says how many marches a call takes per shot."""
    from seisops.propagators import marching

    def count(call, shots: int = 2):
        before = marching.marches
        call()
        return (marching.marches - before) / shots

    return count
