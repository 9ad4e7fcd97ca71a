"""Shared by all tests: Hypothesis without chance, and no warnings of white noise and grids without a layer."""

import numpy as np
import pytest
from hypothesis import settings
from tables import pytest_addoption as pytest_addoption
from tables import pytest_collection_modifyitems as pytest_collection_modifyitems
from tables import pytest_terminal_summary as pytest_terminal_summary

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=150, database=None)
settings.load_profile("fixed")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: a law in more worlds, or an example, that takes long; `make test-long`")
    # The laws hold for every vector, random ones too; that the warning comes is a test of its own.
    config.addinivalue_line("markers", "row(section, what, verdict): a row of an adapter's table in the documentation")
    config.addinivalue_line("filterwarnings", "ignore::seisops.wavelets.UndersampledWarning")
    # Grids without a layer are the smallest on which weights and pads are tried.
    config.addinivalue_line("filterwarnings", "ignore::seisops.notices.ReflectingWarning")


@pytest.fixture(autouse=True, scope="session")
def points_lie_in_the_grid():
    """In every march of every test a kernel is given points with nodes of its grid alone: it does not ask."""
    from zoo import in_the_grid

    from seisops.propagators.points import PointWeights
    from seisops.propagators.workspaces import Workspace

    bound = Workspace.bound

    def checked(space, operator, arrays, scalars):
        n = len(space.shape)
        # Of one group of points or of several: what stands before the number of the last axis.
        for tag in {name[:-1] for name in arrays if "_node" in name and name.endswith(str(n - 1))}:
            nodes = np.stack([arrays[f"{tag}{axis}"] for axis in range(n)], axis=1)
            weights = tuple(arrays[f"{tag.replace('_node', '_weight')}{axis}"] for axis in range(n))
            points = PointWeights(nodes, weights)
            assert in_the_grid(points, tuple(s.stop - s.start for s in space.part))
        return bound(space, operator, arrays, scalars)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "bound", checked)
        yield


@pytest.fixture
def counted():
    """A function that says how many marches a call takes per shot."""
    from seisops.propagators import marching

    def count(call, shots: int = 2):
        before = marching.marches
        call()
        return (marching.marches - before) / shots

    return count
