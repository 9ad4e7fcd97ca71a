"""so.config: a statement and a block, checked at once, and what it says and stops while marches run."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from zoo import world

import seisops as so
from seisops import watching
from seisops.execution.config import DEFAULT, current
from seisops.propagators import kernels


@pytest.fixture(autouse=True)
def defaults():
    yield
    so.config(**vars(DEFAULT))


def test_a_statement_holds_from_there_on():
    so.config(storage=so.storage.Half())
    assert current().storage == so.storage.Half()
    so.config(reproducible=True)
    assert (current().storage, current().reproducible) == (so.storage.Half(), True)
    # What runs on threads of the library runs under it too.
    with ThreadPoolExecutor(2) as pool:
        so.config(executor=pool)
        assert np.allclose(world("2d").F @ world("2d").q, world("2d").F @ world("2d").q)
        so.config(executor=None)
    assert current().storage == so.storage.Half()


def test_a_block_ends_with_all_that_was_set_in_it():
    so.config(progress=True)
    with so.config(storage=so.storage.Half()) as inside:
        assert inside.storage == so.storage.Half() and inside.progress
        so.config(reproducible=True)
        with so.config(progress=False):
            assert not current().progress and current().reproducible
        assert current().progress and current().reproducible
    assert (current().storage, current().reproducible, current().progress) == (so.storage.Auto(), False, True)
    with pytest.raises(RuntimeError, match="inside"), so.config(progress=False):
        raise RuntimeError("inside")
    assert current().progress


def test_settings_that_are_kept_for_later_and_entered_twice():
    ours = so.config(reproducible=True)
    so.config(reproducible=False)
    for _ in range(2):
        with ours, ours:
            assert current().reproducible
        assert not current().reproducible


@pytest.mark.parametrize(
    "setting, error, message",
    [
        ({"typo": 3}, TypeError, "so.config has no setting 'typo'. It has executor, storage, progress"),
        ({"store": 3}, TypeError, "no setting 'store'; did you mean 'storage'"),
        ({"storage": "half"}, TypeError, r"storage is one of so.storage, .*got 'half': write so.storage.Half\(...\)"),
        ({"storage": so.storage.Half}, TypeError, r"write so.storage.Half\(\.\.\.\), with parentheses"),
        ({"storage": None}, TypeError, "storage is one of so.storage"),
        ({"executor": 4}, TypeError, r"executor is an executor .*got 4: such as executor=ProcessPoolExecutor\(4\)"),
        ({"progress": "yes"}, TypeError, "progress is True or False, got 'yes'"),
        ({"reproducible": 1}, TypeError, "reproducible is True or False, got 1"),
        ({"memory": "8GB"}, TypeError, r"memory is a number of bytes, got '8GB': 8 GB are memory=8 \* 1024\*\*3"),
        ({"memory": 8}, ValueError, r"memory is in bytes, and 8 bytes hold nothing: 8 GB are 8 \* 1024\*\*3"),
        ({"memory": -1e9}, ValueError, "memory is in bytes"),
    ],
    ids=lambda x: str(x) if isinstance(x, dict) else "",
)
def test_settings_are_checked_where_they_are_given(setting, error, message):
    with pytest.raises(error, match=message):
        so.config(**setting)
    assert current() == DEFAULT
    with pytest.raises(error, match=message):
        world("2d").F.configured(**setting)


def large():
    """A background of 14 MB."""
    model = so.Model(v=np.full((101, 81), 2.0), spacing=10)
    src = so.Geometry.line([250], depth=20, dt=2, t=600)
    return so.modeling(model, src, src), so.ricker(src, 0.02)


def test_a_limit_of_memory():
    F, q = large()
    whole = so.Jacobian(F, q)
    needed = whole.memory(verbose=False).background
    with so.config(memory=needed + 1):
        assert isinstance(so.Jacobian(F, q).factors[-1].op.chosen, so.storage.Memory)
    with so.config(memory=needed - 1):
        J = so.Jacobian(F, q)
        assert "allowed" in str(J.memory(verbose=False))
        assert isinstance(J.factors[-1].op.chosen, so.storage.Checkpointed)
        with (
            so.config(storage=so.storage.Memory()),
            pytest.raises(MemoryError, match=r"needs .* MB, more than the .* MB"),
        ):
            _ = so.Jacobian(F, q).H @ (F @ q)
        image = J.H @ (F @ q)
    assert np.array_equal(image, whole.H @ (F @ q))


def test_a_single_shot_shows_its_steps(capfd, monkeypatch):
    F, q = large()
    expected = F @ q, so.fwi(F, q, np.zeros(F.dimsd))
    capfd.readouterr()
    steps = []
    bar = watching.bar

    @contextmanager
    def counted(total, what):
        steps.append([total])
        with bar(total, what) as moved_on:
            yield lambda n: (steps[-1].append(n), moved_on(n))

    monkeypatch.setattr(watching, "bar", counted)
    with so.config(progress=True):
        got = F @ q, so.fwi(F, q, np.zeros(F.dimsd))
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "time steps" in shown.err
    # A bar for every march, moved on to its end.
    assert len(steps) == 3
    assert all(len(moves) > 5 and sum(moves) == total for total, *moves in steps)
    # In pieces it is the same to the last bit.
    assert np.array_equal(got[0], expected[0])
    assert got[1][0] == expected[1][0]
    assert np.array_equal(got[1][1], expected[1][1])


def test_a_kernel_that_is_compiled_is_told_of(capfd, monkeypatch, tmp_path):
    F, q = large()
    monkeypatch.setattr(kernels, "_kernels", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with so.config(progress=True):
        F @ q
    assert (
        f"seisops: compiling a kernel in 2-D, once; it is kept in {tmp_path}/seisops/kernels" in capfd.readouterr().err
    )
    monkeypatch.setattr(kernels, "_kernels", {})
    F @ q
    assert capfd.readouterr().err == ""


def test_who_is_not_waited_for_stops_at_the_next_block():
    F, q = large()
    event = threading.Event()
    with so.config(progress=True):
        stopped = watching.until(event, lambda: F @ q)
        assert np.isfinite(stopped()).all()
        event.set()
        with pytest.raises(watching.GivenUp):
            stopped()


@pytest.mark.parametrize("shots, cells", [(2, 1), (1, 10**6)], ids=["several shots", "one large shot"])
def test_an_interrupt_does_not_wait_for_the_end_of_a_shot(shots, cells):
    from seisops.execution.shots import map_shots

    ended = threading.Event()

    class Long:
        def __call__(self, i):
            os.kill(os.getpid(), signal.SIGINT)
            # Seconds in compiled code, as a march is, of which Python sees nothing.
            ended.wait(20)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(map_shots(Long(), shots, cells))
    finally:
        signal.signal(signal.SIGINT, before)
    took = time.monotonic() - begun
    ended.set()
    assert took < 10
