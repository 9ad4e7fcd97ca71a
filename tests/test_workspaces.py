"""Workspaces are lent again, to whatever survey, and those that nothing asks for go."""

import gc
import threading
import weakref

import numpy as np
import pytest

import seisops as so
from seisops.propagators import footprint
from seisops.propagators import workspaces as module


@pytest.fixture
def fresh(monkeypatch):
    """Workspaces of a process that has made none yet."""
    monkeypatch.setattr(module, "workspaces", module._Workspaces())
    monkeypatch.setattr("seisops.propagators.marching.workspaces", module.workspaces)
    return module.workspaces


def march(shape, receivers: int = 1, t: float = 60.0) -> None:
    model = so.Model(v=np.full(shape, 2.0), spacing=10.0, dtype="float64")
    src = so.Geometry([[[100.0, 100.0]]], dt=2.0, t=t)
    rec = so.Geometry(np.random.default_rng(0).uniform(20, 200, (1, receivers, 2)), dt=2.0, t=t)
    F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    _ = F.H @ (F @ np.ones(F.dims))


def idle(kept) -> list:
    return [space for spaces in kept.idle.values() for space in spaces]


def test_surveys_on_one_grid_share_a_workspace(fresh):
    for receivers in range(1, 101):
        march((25, 21), receivers, t=60.0 + receivers)
    # One for the wave equation, one for its transpose.
    assert len(idle(fresh)) == 2
    assert all(len(space._bound) <= module.SHAPES for space in idle(fresh))


def test_idle_workspaces_are_bounded_by_bytes(fresh, monkeypatch):
    march((25, 21))
    limit = 3 * fresh.nbytes
    monkeypatch.setattr(module, "IDLE_LIMIT", limit)
    first = [weakref.ref(space) for space in idle(fresh)]
    for n in range(12):
        march((25, 22 + n))
        # What is used again stays, what is not goes.
        march((25, 60))
        assert fresh.nbytes == sum(space.nbytes for space in idle(fresh)) <= limit
    assert (45, 80) in {space.shape for space in idle(fresh)}
    assert (45, 53) in {space.shape for space in idle(fresh)}
    gc.collect()
    assert all(space() is None for space in first)


def test_the_workspace_used_last_is_kept(fresh, monkeypatch):
    monkeypatch.setattr(module, "IDLE_LIMIT", 0)
    march((25, 21))
    assert len(idle(fresh)) == 1


def test_bytes_are_those_of_the_arrays(fresh):
    march((25, 21))
    for space in idle(fresh):
        assert space.nbytes > space.waves["u"].nbytes + module.OBJECTS
        assert space.nbytes < 4 * space.waves["u"].nbytes + module.OBJECTS


def test_a_march_holds_the_levels_that_it_reads(fresh):
    march((25, 21))
    assert {len(space.waves["u"]) for space in idle(fresh)} == {2}
    model = so.Model(v=np.full((25, 21), 2.0), spacing=10.0, dtype="float64")
    at = so.Geometry([[[100.0, 100.0]]], dt=2.0, t=60.0)
    F = so.modeling(model, at, at)
    # Which is what either is estimated to take.
    taken = {space.nbytes - module.OBJECTS for space in idle(fresh)}
    assert taken == {F.memory().marching, F.H.memory().marching}
    _ = F.jacobian(np.ones(F.dims)) @ np.ones(model.shape)
    # A second difference in time has a third.
    assert sorted(len(space.waves["u"]) for space in idle(fresh)) == [2, 2, 2, 3]
    # Which the estimate counts, and memories in their strips.
    assert max(space.nbytes for space in idle(fresh)) - module.OBJECTS == footprint.workspace_bytes(model)


def test_a_march_in_three_dimensions_takes_five_wavefields():
    """Two levels, what scales them, and the memories of six strips, with what differences read around each."""
    model = so.Model(v=np.full((200, 200, 150), 2.0), spacing=10.0)
    at = so.Geometry([[[100.0, 100.0, 100.0]]], dt=2.0, t=60.0)
    assert so.modeling(model, at, at).memory().marching < 5 * np.prod(model.padded_shape) * 4


def test_arrays_hold_what_differences_read(fresh):
    model = so.Model(v=np.full((17, 15, 30), 2.0), spacing=10.0, dtype="float64", absorb=4, space_order=4)
    at = so.Geometry([[[100.0, 100.0, 60.0]]], dt=2.0, t=20.0)
    F = so.modeling(model, at, at)
    _ = F @ np.ones(F.dims)
    (space,) = idle(fresh)
    physics = space.fields.physics
    # Along the last axis a row begins where a vector does, and so does what is its own in it.
    assert [*physics.fields["u"].halo] == [(0, 0), (2, 2), (2, 2), (8, 2)]
    assert [*physics.memories["psi0"][0].halo] == [(2, 2), (0, 0), (0, 10)]
    assert [*physics.memories["psi2"][0].halo] == [(0, 0), (0, 0), (8, 8)]
    assert [*physics.memories["zeta1"][0].halo] == [(0, 0), (0, 0), (0, 10)]


def test_a_march_that_is_collected_while_another_gives_back_does_not_wait_for_it(fresh):
    march((25, 21))
    spec, model = next(iter(fresh.idle))[0], so.Model(v=np.full((25, 21), 2.0), spacing=10.0, dtype="float64")
    space = fresh.borrow(spec, model)

    def collected():
        with fresh.lock:
            fresh.give_back(spec, model, space)

    thread = threading.Thread(target=collected, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert space in idle(fresh)


def test_arrays_begin_at_places_of_a_page_of_their_own(fresh):
    march((25, 21))
    begins = [[view.__array_interface__["data"][0] % 4096 for view in space.waves.values()] for space in idle(fresh)]
    begins += [[x.__array_interface__["data"][0] % 4096 for x in space.zeroed] for space in idle(fresh)]
    assert all(len(set(places)) == len(places) > 0 for places in begins)
    assert not any(place % 64 for places in begins for place in places)
