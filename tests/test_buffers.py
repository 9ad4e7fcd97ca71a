"""Memory of large arrays: who has it next, and how much of it waits."""

import numpy as np
import pytest

from seisops.storage import buffers


@pytest.fixture(autouse=True)
def nothing_idle():
    buffers.clear()
    yield
    buffers.clear()


def place(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def idle() -> int:
    return sum(raw.nbytes for arrays in buffers._idle.values() for raw in arrays)


@pytest.mark.parametrize("steps", [1000, 1001, 1020])
def test_a_wavefield_of_about_as_many_steps_has_the_same_memory(steps):
    field = buffers.take((1000, 30, 20), np.float32)
    where = place(field)
    del field
    again = buffers.take((steps, 30, 20), np.float32)
    assert place(again) == where and where % buffers.ALIGNMENT == 0
    assert again.shape == (steps, 30, 20) and again.flags.c_contiguous
    assert idle() == 0


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000, 12345, 1 << 20, (1 << 20) + 1])
def test_an_array_has_as_many_bytes_as_it_was_asked_for(size):
    array = buffers.take((size,), np.uint8)
    assert array.nbytes == size
    assert size <= buffers._room(size) <= max(1.125 * size, size + buffers.ALIGNMENT)


def test_memory_in_use_is_not_given_again():
    kept = buffers.take((1000,), np.float64)[10:20]
    assert not np.shares_memory(kept, buffers.take((1000,), np.float64))


def test_idle_memory_is_bounded_and_what_was_used_last_stays(monkeypatch):
    monkeypatch.setattr(buffers, "IDLE_LIMIT", 10_000_000)
    for n in range(1, 40):
        _ = buffers.take((100_000 * n,), np.uint8)
        del _
        assert idle() == buffers._held <= 10_000_000
    assert list(buffers._idle)[-1] == buffers._room(3_900_000)


def test_the_oldest_of_many_like_it_goes(monkeypatch):
    monkeypatch.setattr(buffers, "IDLE_LIMIT", 3 << 20)
    arrays = [buffers.take((1 << 20,), np.uint8) for _ in range(5)]
    places = [place(a) for a in arrays]
    while arrays:
        arrays.pop(0)
    again = [buffers.take((1 << 20,), np.uint8) for _ in range(3)]
    assert {place(a) for a in again} == set(places[2:])


def test_an_array_that_ends_while_another_is_taken_waits_for_nobody():
    array = buffers.take((1000,), np.float64)
    with buffers._lock:
        del array
    assert idle() == buffers._held == 0
