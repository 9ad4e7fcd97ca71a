"""How backgrounds are kept: J and J.H stay exact adjoints, and what comes back is what each storage promises."""

import gc
import os
import pickle
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import psutil
import pytest
from zoo import DOT, KINDS, ROUNDING, World, error, random, shortened, world

import seisops as so
from seisops import checks
from seisops.propagators.footprint import workspace_bytes
from seisops.propagators.workspaces import workspaces
from seisops.storage import (
    Auto,
    Checkpointed,
    Disk,
    Frequencies,
    Half,
    Memory,
    Subsampled,
    bfloat16,
    buffers,
    checkpointed,
)
from seisops.storage.base import Wave

# The wavelet of the world below has nothing beyond this, in kHz.
FMAX = 0.036
# What the approximations may change in a gradient, and in Born data.
APPROXIMATE = 0.01


@lru_cache
def longer(kind: str = "2d") -> World:
    """A world of ten blocks of time steps, the last of them incomplete, with a wavelet for its source."""
    w = World(**{**KINDS[kind], "t": 340.0})
    assert 9 * so.storage.base.BLOCK < w.A.nt < 10 * so.storage.base.BLOCK
    w.q = so.ricker(w.src, f0=0.012, t0=125.0, dtype="float64")
    w.wave = w.F @ w.q
    return w


def frequencies() -> Frequencies:
    """All there are."""
    A = longer().A
    return Frequencies(np.arange(A.nt // 2 + 1) / (A.nt * A.model.dt))


STORAGES = {
    "memory": Memory,
    "disk": Disk,
    "checkpoints": Checkpointed,
    "one checkpoint": lambda: Checkpointed(snapshots=1),
    "four checkpoints": lambda: Checkpointed(snapshots=4),
    "as many as blocks": lambda: Checkpointed(snapshots=99),
    "half": Half,
    "subsampled": lambda: Subsampled(fmax=FMAX),
    "frequencies": frequencies,
    "few frequencies": lambda: Frequencies([0.01, 0.02]),
    "no budget": lambda: Auto(budget=0),
}
BITWISE = ["memory", "disk", "checkpoints", "one checkpoint", "four checkpoints", "as many as blocks", "no budget"]
JACOBIANS = {
    "of F": lambda w: w.F.jacobian(w.q),
    "of F.H": lambda w: w.F.H.jacobian(w.wave),
    "of J.H": lambda w: w.J.H.jacobian(w.wave),
}


def jacobian(name: str, storage: str, kind: str = "2d"):
    with so.config(storage=STORAGES[storage]()):
        return JACOBIANS[name](longer(kind))


@pytest.mark.parametrize("name", JACOBIANS)
@pytest.mark.parametrize("storage", STORAGES)
def test_adjoint(storage, name):
    assert checks.dot_test(jacobian(name, storage), verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("storage", STORAGES)
def test_adjoint_in_single_precision(storage):
    assert checks.dot_test(jacobian("of F", storage, "2d-float32"), verbose=False) <= DOT["float32"]


@pytest.mark.parametrize("storage", shortened(["checkpoints", "half"], ["checkpoints"]))
def test_adjoint_under_a_free_surface(storage):
    assert checks.dot_test(jacobian("of F", storage, "surface"), verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("storage", STORAGES)
def test_fused_equals_unfused(storage):
    w, J = longer(), jacobian("of F", storage)
    born, image = J @ w.dm, J.H @ w.wave
    with so.no_fusion():
        assert error(J @ w.dm, born) <= ROUNDING
        assert error(J.H @ w.wave, image) <= ROUNDING


@pytest.mark.parametrize("name", JACOBIANS)
@pytest.mark.parametrize("storage", BITWISE[1:])
def test_the_same_bit_for_bit(storage, name):
    J, kept = jacobian(name, storage), jacobian(name, "memory")
    dm, y = longer().dm, np.random.default_rng(0).standard_normal(J.dimsd)
    # Twice: what a first product leaves behind does not show in the second.
    for _ in range(2):
        assert np.array_equal(J @ dm, kept @ dm)
        assert np.array_equal(J.H @ y, kept.H @ y)


@pytest.mark.parametrize("storage", [Memory(), Checkpointed()], ids=str)
@pytest.mark.parametrize("adjoint", [False, True])
def test_beyond_the_last_step_there_is_nothing(storage, adjoint):
    # What multiplies the last step is zero in a Jacobian, but not in any product.
    w = world("2d")
    op, x = (w.A.H @ w.Pr.H, w.d) if adjoint else (w.A @ w.Ps.H, w.q)
    S, u = so.Scattering(w.model, w.rec, op, x, storage=storage), random(op.dimsd)
    backgrounds = (so.conditions.second_time_difference(U, w.model.dt) for U in op @ x)
    image = -sum(w.model.pad_adjoint((g * ui).sum(axis=0)) for g, ui in zip(backgrounds, u, strict=True))
    assert error(S @ u, image) <= ROUNDING


@pytest.mark.parametrize("storage", ["disk", "one checkpoint", "four checkpoints"])
def test_marches_again_within_marches_again(storage):
    """A background of a third derivative is itself marched over one, and goes back in it."""

    def products(storage):
        with so.config(storage=STORAGES[storage]()):
            third = w.F.jacobian(w.q).jacobian(w.dm).jacobian(w.dm), w.J.H.jacobian(w.wave).jacobian(w.dm)
            return [third[0] @ w.dm, third[0].H @ w.wave, third[1] @ w.dm, third[1].H @ w.dm]

    w = longer()
    assert all(np.array_equal(a, b) for a, b in zip(products(storage), products("memory"), strict=True))


@pytest.mark.parametrize("storage", BITWISE[1:])
def test_linearizations_are_the_same_bit_for_bit(storage):
    w = longer()
    kept = w.F.linearize(w.q)
    with so.config(storage=STORAGES[storage]()):
        other = w.F.linearize(w.q)
    assert np.array_equal(other.value, kept.value)
    for a, b in zip(other.pull(w.wave), kept.pull(w.wave), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(other.J.H @ w.wave, kept.J.H @ w.wave)
    assert np.array_equal(other.J @ w.dm, kept.J @ w.dm)


def assert_close(storage, name, bar):
    """A background that is marched in either direction of time comes back."""
    J, kept, dm = jacobian(name, storage), jacobian(name, "memory"), longer().dm
    y = kept @ dm
    assert error(J @ dm, y) <= bar
    assert error(J.H @ y, kept.H @ y) <= bar


# What the end of a record cuts off is beyond what Subsampled keeps: its test in the other direction is the next.
@pytest.mark.parametrize("storage, name", [("half", "of F"), ("half", "of F.H"), ("subsampled", "of F")])
def test_approximations_are_close(storage, name):
    assert_close(storage, name, APPROXIMATE)
    assert np.any(jacobian(name, storage) @ longer().dm != jacobian(name, "memory") @ longer().dm)


@pytest.mark.parametrize("adjoint", [False, True])
def test_a_spline_through_some_steps_gives_the_others(adjoint):
    nt, block = 200, so.storage.base.BLOCK
    a = (np.pi * 0.012 * (np.arange(nt) - 100)) ** 2
    g = ((1 - 2 * a) * np.exp(-a))[:, None] * np.linspace(-1, 1, 5)
    history = Subsampled(fmax=FMAX).history(Wave(nt, (5,), g.dtype, 1.0, adjoint))
    starts, back = range(0, nt, block), np.empty_like(g)
    for start in reversed(starts) if adjoint else starts:
        history.write(start, min(start + block, nt), g[start : start + block])
    for start in starts:
        history.read(start, min(start + block, nt), back[start : start + block])
    assert error(back, g) <= 2e-3


@pytest.mark.parametrize("name", ["of F", "of F.H"])
def test_all_frequencies_are_exact(name):
    assert_close("frequencies", name, ROUNDING)


@pytest.mark.parametrize("nt", [36, 37])
def test_all_frequencies_give_every_step(nt):
    # White noise: of an even number of steps half the sampling frequency is one of its frequencies.
    g = random((nt, 5))
    history = Frequencies(np.arange(nt // 2 + 1) / (nt * 1.5)).history(Wave(nt, (5,), g.dtype, 1.5, False))
    history.write(0, nt, g)
    back = np.empty_like(g)
    history.read(0, nt, back)
    assert error(back, g) <= ROUNDING


def test_rounding_to_sixteen_bits():
    x = random((8, 1000)).astype(np.float32)
    # Seven bits behind the leading one: half of the last of them, up and down alike.
    off = (bfloat16.widened(bfloat16.narrowed(x)) - x) / x
    assert np.abs(off).max() <= 2**-8 * (1 + 1e-6)
    assert abs(off.mean()) <= 2**-8 / 50


@pytest.mark.parametrize("kind", shortened(["2d", "2d-float32", "3d"], ["2d", "2d-float32"]))
def test_half_is_every_step_rounded(kind):
    w = world(kind)
    for op, x in ((w.A @ w.Ps.H, w.q), (w.A.H @ w.Pr.H, w.d)):
        whole, half = (so.Scattering(w.model, w.rec, op, x, storage=s).background(0).whole for s in (Memory(), Half()))
        assert half.nbytes == Half().nbytes(w.A.wave())
        # What a float32 holds with leading zeros alone is zero in kernels.
        whole = np.where(np.abs(whole) < np.finfo(np.float32).tiny, np.copysign(0, whole), whole)
        assert np.array_equal(half, bfloat16.narrowed(whole))


@pytest.mark.long
def test_half_in_blocks():
    """Of a shot that shows its steps, and where what else a march meets comes in blocks."""
    w = longer()
    F, q, d = w.F[[0]], w.q[:1], w.wave[:1]
    with so.config(storage=Half()):
        J = F.jacobian(q)
        with so.config(progress=True):
            shown = F.jacobian(q)
            images = shown.H @ d, J.H @ d
        assert all(np.array_equal(image, J.H @ d) for image in images)
        assert np.array_equal(shown @ w.dm, J @ w.dm)
        # The march over one history that fills another.
        second = F.jacobian(q).jacobian(w.dm)
    with so.config(storage=Disk()):
        assert checks.dot_test(J.jacobian(w.dm), verbose=False) <= DOT["float64"]
    assert checks.dot_test(second, verbose=False) <= DOT["float64"]


def test_what_is_held():
    wave = longer("2d-float32").A.wave()
    full = Memory().nbytes(wave)
    assert Half().nbytes(wave) == full / 2
    assert Subsampled(fmax=FMAX).nbytes(wave) <= full / 4
    assert Disk().nbytes(wave) == 0
    assert Frequencies([0.01, 0.02]).nbytes(wave) == 4 * wave.step_bytes
    for storage in (Subsampled(fmax=FMAX), Frequencies([0.01, 0.02])):
        held = sum(
            x.nbytes for x in vars(storage.history(wave)).values() if getattr(x, "ndim", 0) == 3 and x.size > 999
        )
        assert held == storage.nbytes(wave)


def sweeps(snapshots: int, blocks: int) -> tuple[int, int]:
    """Blocks that revolve advances over and those it hands out, counted from its actions."""
    advanced = handed = 0
    for kind, before, capo, _ in checkpointed._schedule(snapshots, blocks):
        advanced += capo - before if kind == "ADVANCE" else 0
        handed += kind in ("LASTFW", "REVERSE")
    return advanced, handed


def test_standard_output_stays_where_it_is(monkeypatch):
    """Pyrevolve puts a pipe in its place, for all threads: what they print meanwhile, or two at once, lose it."""
    replaced, replace = [], os.dup2

    def dup2(new, old, *args):
        replaced.append(old)
        return replace(new, old, *args)

    monkeypatch.setattr(os, "dup2", dup2)
    checkpointed._schedule.cache_clear()
    assert checkpointed._schedule(2, 9)[-1][0] == "TERMINATE"
    assert replaced
    assert sys.stdout.fileno() not in replaced


@pytest.mark.parametrize("snapshots", [1, 2, 3, 9])
def test_checkpoints_march_as_often_as_revolve_says(snapshots, counted):
    w = longer()
    with so.config(storage=Checkpointed(snapshots=snapshots)):
        J, pulled = w.F.jacobian(w.q)[[0]], w.F[[0]].linearize(w.q[[0]])
    nt, block = w.A.nt, so.storage.base.BLOCK
    last = nt - 9 * block
    advanced, handed = sweeps(snapshots, 10)
    assert handed == 10
    assert advanced == checkpointed.advances(snapshots, 10)
    # All blocks but the last, which is shorter, are advanced over; every block is handed out once; one adjoint march.
    expected = (advanced * block + 9 * block + last) / nt + 1
    assert float(counted(lambda: J.H @ w.wave[[0]], shots=1)) == pytest.approx(expected, abs=1e-9)
    assert counted(lambda: J @ w.dm, shots=1) == 2
    # What a forward product leaves is the first sweep.
    left = expected - 9 * block / nt
    assert float(counted(lambda: pulled.pull(w.wave[[0]]), shots=1)) == pytest.approx(left, abs=1e-9)


@pytest.mark.parametrize("blocks, states", [(1, 1), (2, 1), (84, 9), (500, 25)])
def test_default_is_the_fewest_checkpoints_that_march_little(blocks, states):
    wave = Wave(blocks * so.storage.base.BLOCK, (4, 4), np.dtype("float32"), 1.0)
    assert Checkpointed().count(wave) == states
    assert sweeps(states, blocks)[0] <= checkpointed.AGAIN * blocks
    assert states == 1 or sweeps(states - 1, blocks)[0] > checkpointed.AGAIN * blocks


def test_two_threads_share_a_jacobian():
    w, kept = longer(), longer().J
    expected = kept @ w.dm, kept.H @ w.wave
    for storage in ("checkpoints", "disk", "half"):
        J = jacobian("of F", storage)
        with ThreadPoolExecutor(4) as pool:
            born = [pool.submit(lambda J=J: J @ w.dm) for _ in range(4)]
            images = [pool.submit(lambda J=J: J.H @ w.wave) for _ in range(4)]
            bar = 0 if storage != "half" else APPROXIMATE
            assert all(error(f.result(), expected[0]) <= bar for f in born)
            assert all(error(f.result(), expected[1]) <= bar for f in images)


def test_gradient_of_an_inversion():
    w = longer()
    d = w.F.at(m=1.05 * w.model.m) @ w.q
    value, gradient = so.fwi(w.F, w.q, d)
    for storage in ("disk", "checkpoints"):
        with so.config(storage=STORAGES[storage]()):
            again = so.fwi(w.F, w.q, d)
        assert again[0] == value
        assert np.array_equal(again[1], gradient)


def test_an_operator_keeps_the_storage_it_was_made_with():
    J = jacobian("of F", "disk")
    for other in (J, J[[1]], J.at(m=J.model.m), pickle.loads(pickle.dumps(J)), J.H.H):
        assert other.factors[-1].op.storage == Disk()


def test_files_go_with_their_operator(tmp_path):
    with so.config(storage=Disk(folder=str(tmp_path))):
        J = longer().F.jacobian(longer().q)
    _ = J @ longer().dm
    assert len(os.listdir(tmp_path)) == 2
    del J
    gc.collect()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("storage", STORAGES)
def test_backgrounds_go_with_their_operator(storage):
    w = longer()
    gc.collect()
    gc.disable()
    try:
        for made in (lambda: w.F.jacobian(w.q), lambda: w.F.linearize(w.q)):
            with so.config(storage=STORAGES[storage]()):
                found = made()
            J = found if isinstance(found, so.algebra.SeismicOperator) else found.J
            _ = J.H @ w.wave
            left = [weakref.ref(history) for history in J.factors[-1].op._kept.values()]
            assert len(left) == 2
            # No cycle keeps a background, which may be most of the memory, until the collector comes round.
            del found, J
            assert [ref() for ref in left] == [None, None]
    finally:
        gc.enable()


# ---------------------------------------------------------------------- estimates and refusals


def test_the_estimate(capsys):
    w = longer()
    J = w.F.jacobian(w.q)
    estimate = J.memory()
    wave = w.A.wave()
    assert estimate.background == 2 * wave.nbytes
    assert estimate.total == estimate.marching + estimate.wavefields + estimate.background
    # Said once, whether it is shown or printed.
    assert capsys.readouterr().out == ""
    printed = repr(estimate)
    J.memory(verbose=True)
    assert capsys.readouterr().out == f"{printed}\n"
    for word in ("Pr @ A @ S.H", "* Memory()", "Half()", "Checkpointed(2 states)", "Disk (", "free memory", "in all"):
        assert word in printed
    with so.config(storage=Half()):
        assert w.F.jacobian(w.q).memory(verbose=False).background == wave.nbytes // 2
    assert w.F.memory(verbose=False).background == 0
    assert "were it differentiated" in str(w.F.memory(verbose=False))
    full = (w.A @ w.Ps.H).memory(verbose=False)
    assert full.wavefields == w.A.shape[0] * 8 + w.q.nbytes
    assert so.compose(w.M @ w.F).memory(verbose=False).total > 0


def test_the_estimate_is_what_is_allocated():
    w = longer()
    with so.config(storage=Memory()):
        J = w.F.jacobian(w.q)
    _ = J @ w.dm
    held = sum(h.whole.nbytes for h in J.factors[-1].op._kept.values())
    assert held == J.memory(verbose=False).background


@pytest.mark.parametrize(
    ("storage", "marches", "blocks"), [("memory", 1, 0), ("half", 1, 0), ("subsampled", 1, 1), ("checkpoints", 2, 1)]
)
def test_the_estimate_counts_what_marches_at_once(monkeypatch, storage, marches, blocks):
    w = longer()
    with so.config(storage=STORAGES[storage]()):
        J = w.F.jacobian(w.q)[[0]]
    _ = J.H @ w.wave[:1]
    running, most, taken = 0, 0, []
    borrow, give_back, take = workspaces.borrow, workspaces.give_back, buffers.take

    def borrowed(*args):
        nonlocal running, most
        running += 1
        most = max(most, running)
        return borrow(*args)

    def given_back(*args):
        nonlocal running
        running -= 1
        return give_back(*args)

    def taken_of(shape, dtype):
        taken.append(shape)
        return take(shape, dtype)

    monkeypatch.setattr(workspaces, "borrow", borrowed)
    monkeypatch.setattr(workspaces, "give_back", given_back)
    monkeypatch.setattr(buffers, "take", taken_of)
    _ = J.H @ w.wave[:1]
    block = (so.storage.base.BLOCK, *w.model.padded_shape)
    assert (most, taken.count(block)) == (marches, blocks)
    alone, step = workspace_bytes(w.model), w.A.wave().step_bytes
    assert J.memory(verbose=False).marching == marches * alone + blocks * so.storage.base.BLOCK * step


def test_a_run_that_cannot_fit_raises_with_the_table(monkeypatch, counted):
    class Full:
        available = 10_000

    w = longer()
    with so.config(storage=Memory()):
        J = w.F.jacobian(w.q)
    monkeypatch.setattr(psutil, "virtual_memory", Full)

    def refused():
        with pytest.raises(MemoryError, match=r"(?s)Memory\(\) needs more than the free memory.*Checkpointed\(.*Disk"):
            _ = J @ w.dm
        with pytest.raises(MemoryError, match=r"(?s)Checkpointed\(2 states\) needs more.*free memory +9.77 KB"):
            _ = w.F.jacobian(w.q) @ w.dm

    assert counted(refused) == 0


def test_refusals(monkeypatch):
    with pytest.raises(ValueError, match="one snapshot at least, got 0"):
        Checkpointed(snapshots=0)
    with pytest.raises(ValueError, match="fmax = 0 kHz is not positive"):
        Subsampled(fmax=0)
    with pytest.raises(ValueError, match="increasing and not negative"):
        Frequencies([0.02, 0.01])
    with pytest.raises(ValueError, match="half the sampling frequency"):
        Frequencies([1.0]).history(longer().A.wave())
    monkeypatch.setitem(sys.modules, "pyrevolve.schedulers", None)
    checkpointed._schedule.cache_clear()
    J = jacobian("of F", "checkpoints")
    with pytest.raises(ImportError, match=r"pip install 'seisops\[checkpoint\]'"):
        _ = J.H @ longer().wave


def test_half_precision_of_nothing():
    w = longer()
    with so.config(storage=Half()):
        J = w.F.jacobian(0 * w.q)
    assert not np.any(J @ w.dm)
