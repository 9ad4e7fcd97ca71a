"""Shared by all tests: Hypothesis without chance, and no warnings of white noise and grids without a layer."""

import numpy as np
import pytest
from hypothesis import settings
from tables import pytest_addoption, pytest_collection_modifyitems, pytest_deselected, pytest_terminal_summary  # noqa: F401

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=150, database=None)
settings.load_profile("fixed")


def pytest_configure(config):
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
        for tag in {name.removesuffix("_node0") for name in arrays if name.endswith("_node0")}:
            axes = range(len(space.shape))
            nodes = np.stack([arrays[f"{tag}_node{axis}"] for axis in axes], axis=1)
            points = PointWeights(nodes, tuple(arrays[f"{tag}_weight{axis}"] for axis in axes))
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
