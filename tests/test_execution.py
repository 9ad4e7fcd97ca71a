"""Shots on any executor: the same numbers, whatever runs them, and nothing broken by what stops them."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from zoo import ROUNDING, Elsewhere, Stored, diagonal, error, normal, operator, shortened, world

import seisops as so
from seisops import checks
from seisops.execution import cores, neighbours, pickles
from seisops.execution.blas import one_thread
from seisops.storage import Disk, Half

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def processes():
    """Two processes that know nothing of this one."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def pulled(op, x, y):
    """Both gradients at x of <y, op x>."""
    return np.concatenate([g.ravel() for g in op.linearize(x).pull(y)])


def ragged_data(w):
    return np.random.default_rng(2).standard_normal(w.ragged.shape)


PRODUCTS = {
    "F": lambda w: w.F @ w.q,
    "F.H": lambda w: w.F.H @ w.d,
    "F ragged": lambda w: w.samplers(w.ragged) @ w.q,
    "E": lambda w: w.E @ w.w,
    "J": lambda w: w.F.jacobian(w.q) @ w.dm,
    "J.H": lambda w: w.F.jacobian(w.q).H @ w.d,
    "A Ps.H": lambda w: w.A @ w.Ps.H @ w.q,
    "linearize": lambda w: np.concatenate([x.ravel() for x in w.F.linearize(w.q).pull(w.d)]),
    "fwi": lambda w: so.fwi(w.F, w.q, w.d)[1],
    "(J.H J).jacobian": lambda w: (w.J.H @ w.J).jacobian(w.dm) @ w.dm,
    # Behind their backgrounds stand factors that have no shots to select.
    "E D": lambda w: so.Jacobian(w.E @ diagonal(w.E.shape[1]), w.w.ravel()) @ w.dm,
    "Pr A D Ps.H": lambda w: so.Jacobian(w.Pr @ w.A @ diagonal(w.A.shape[1]) @ w.Ps.H, w.q).H @ w.d,
    "BlockDiag": lambda w: operator("J of BlockDiag") @ w.dm,
    "(J J.H).jacobian": lambda w: (w.J @ w.J.H).jacobian(w.d) @ w.dm,
    "(J J.H).jacobian.H": lambda w: (w.J @ w.J.H).jacobian(w.d).H @ w.d,
    "(Jh Jh.H).jacobian": lambda w: normal(so.imaging.subsurface_offsets(w.J, 2)).jacobian(w.d) @ w.dm,
    "J of J ragged": lambda w: w.samplers(w.ragged).jacobian(w.q).jacobian(w.dm) @ w.dm,
    "J of (F ragged).H": lambda w: (H := w.samplers(w.ragged).H).jacobian(np.ones(H.dims)) @ w.dm,
    "(A A).jacobian": lambda w: (w.Pr @ w.A @ w.A @ w.Ps.H).jacobian(w.q) @ w.dm,
    "S A Ps.H": lambda w: so.Scattering(w.model, w.rec, None, w.A @ w.Ps.H @ w.q) @ w.A @ w.Ps.H @ w.q,
    "illumination": lambda w: so.preconditioners.illumination(w.A @ w.Ps.H, w.q) @ np.ones(w.model.shape),
    "illumination by receivers": lambda w: (
        so.preconditioners.illumination(w.A.H @ w.Pr.H, w.d) @ np.ones(w.model.shape)
    ),
    "aperture": lambda w: so.aperture(w.F, 60.0) @ w.q,
    "aperture, linearize": lambda w: pulled(so.aperture(w.F, 60.0), w.q, w.d),
    "aperture ragged, linearize": lambda w: pulled(so.aperture(w.samplers(w.ragged), 60.0), w.q, ragged_data(w)),
    "aperture of E, linearize": lambda w: pulled(so.aperture(w.E, 60.0), w.w, w.d),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_processes_give_the_same(processes, name):
    w = world("2d")
    expected = PRODUCTS[name](w)
    with so.config(executor=processes):
        assert np.array_equal(PRODUCTS[name](w), expected)


def test_a_process_gets_the_records_of_its_shots_alone():
    w = world("2d")
    expected = so.fwi(w.F, w.q, w.d)[1]
    with so.config(executor=Elsewhere()):
        assert np.array_equal(so.fwi(w.F, w.q, Stored(w.d))[1], expected)


@pytest.mark.parametrize("workers, name", [(1, "F"), (2, "F"), *((3, name) for name in PRODUCTS)])
def test_threads_of_ones_own_give_the_same(workers, name):
    w = world("2d")
    expected = PRODUCTS[name](w)
    with ThreadPoolExecutor(workers) as pool, so.config(executor=pool):
        assert np.array_equal(PRODUCTS[name](w), expected)


def test_adjoint_on_processes(processes):
    w = world("2d")
    with so.config(executor=processes):
        assert checks.dot_test(w.F, verbose=False) <= ROUNDING
        assert checks.dot_test(w.F.jacobian(w.q), verbose=False) <= ROUNDING


def test_storage_travels(processes):
    w = world("2d")
    with so.config(storage=Half()):
        expected = so.fwi(w.F, w.q, w.d)[1]
    assert not np.array_equal(expected, so.fwi(w.F, w.q, w.d)[1])
    with so.config(executor=processes, storage=Half()):
        assert np.array_equal(so.fwi(w.F, w.q, w.d)[1], expected)


def many_shots(nsrc: int = 7):
    w = world("2d")
    rng = np.random.default_rng(5)
    src = so.Geometry(w.points(rng, nsrc, 1), dt=2.0, t=w.t)
    rec = so.Geometry(w.points(rng, nsrc, 3), dt=2.0, t=w.t)
    F = so.Projection(w.model, rec) @ so.Modeling(w.model, rec) @ so.Projection(w.model, src).H
    return F, rng.standard_normal(F.dims)


def test_a_model_is_sent_once_to_a_worker():
    F, q = many_shots()
    there = Elsewhere()
    expected = F @ q
    with so.config(executor=there):
        assert np.array_equal(F @ q, expected)
    assert [len(parcel.models) for parcel in there.parcels] == [1, 1, 0, 0, 0, 0, 0]
    assert all(len(parcel.names) == 1 for parcel in there.parcels)
    # What a shot sends is its own part of the survey and of the source.
    assert max(len(parcel.body) for parcel in there.parcels) < F.model.m.nbytes * 2


def test_a_worker_without_the_model_is_sent_it():
    F, q = many_shots()
    there = Elsewhere(forgets=True)
    expected = F @ q
    with so.config(executor=there):
        assert np.array_equal(F @ q, expected)
    sent = [len(parcel.models) for parcel in there.parcels]
    assert (sent.count(0), sent.count(1)) == (5, 7)


def test_few_models_are_remembered():
    F, q = many_shots(2)
    there = Elsewhere()
    with so.config(executor=there):
        for scale in (1.0, 1.01, 1.02, 1.03):
            _ = F.at(m=scale * F.model.m) @ q
    assert len(pickles._known) == pickles.REMEMBERED


def test_errors_come_back_and_leave_all_usable(processes):
    w = world("2d")

    def spoilt():
        return w.F @ np.full(w.F.dims, 1e308)

    with pytest.raises(FloatingPointError, match="grew beyond float64"):
        spoilt()
    with so.config(executor=processes):
        with pytest.raises(FloatingPointError, match="grew beyond float64"):
            spoilt()
        after = w.F @ w.q
    assert np.array_equal(after, w.F @ w.q)


def test_interrupted():
    from seisops.execution.shots import map_shots

    F, q = many_shots(4)
    expected = F @ q
    begun = []

    class Interrupted:
        def __call__(self, i):
            begun.append(i)
            if i == 3:
                os.kill(os.getpid(), signal.SIGINT)
                # Long enough for it to reach the thread that waits for the results.
                time.sleep(0.5)
            return F @ q

    # Where tests run in the background the signal may be ignored, as Python then leaves it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(map_shots(Interrupted(), 100, 1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) < 20
    assert np.array_equal(F @ q, expected)
    w = world("2d")
    assert np.array_equal(w.J.H @ w.d, w.F.jacobian(w.q).H @ w.d)


def test_what_is_not_needed_is_not_begun():
    from seisops.execution.shots import map_shots

    begun = []

    class Slow:
        def __call__(self, i):
            begun.append(i)
            if i == 1:
                raise RuntimeError("lost")
            return i

    with ThreadPoolExecutor(1) as pool, so.config(executor=pool), pytest.raises(RuntimeError, match="lost"):
        list(map_shots(Slow(), 100, 1))
    assert len(begun) <= 4


def test_two_threads_share_an_operator():
    w = world("2d")
    J = w.J
    calls = [lambda: w.F @ w.q, lambda: w.F.H @ w.d, lambda: J @ w.dm, lambda: J.H @ w.d] * 4
    expected = [call() for call in calls]
    with ThreadPoolExecutor(4) as pool:
        for got, sure in zip(pool.map(lambda call: call(), calls), expected, strict=True):
            assert np.array_equal(got, sure)


TASKS = """
import time
import numpy as np, seisops as so
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from multiprocessing import get_context
from zoo import world

w = world("2d")
J = w.F.jacobian(w.q)

def products(executor=None):
    own = {} if executor is None else {"executor": executor}
    with so.config(**own):
        return J.H @ (w.F @ w.q), so.fwi(w.F, w.q, w.d)[1]

def threads(workers=2, known=set):
    with ThreadPoolExecutor(workers) as pool, so.config(executor=pool):
        pool._threads = known()
        return [f.result() for f in [pool.submit(copy_context().run, products) for _ in range(3)]]

class Late(set):
    def add(self, thread):
        time.sleep(0.5)
        super().add(thread)

def new_threads():
    # A thread may be at its first task before the pool has counted it in.
    return threads(1, Late)

def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool, so.config(executor=pool):
        return [f.result() for f in [pool.submit(products) for _ in range(3)]]

def dask():
    import distributed
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        return [f.result() for f in [client.submit(within_dask, i) for i in range(3)]]

def within_dask(i):
    import distributed
    return products(distributed.get_client().get_executor(pure=False))

if __name__ == "__main__":
    expected = products()
    print(all(np.array_equal(a, b) for found in KIND() for a, b in zip(found, expected, strict=True)))
"""


@pytest.mark.parametrize("kind", shortened(["threads", "new_threads", "processes", "dask"], ["new_threads", "dask"]))
def test_tasks_of_the_pool_that_runs_the_shots(kind):
    """Workers that are all busy with tasks would wait for the shots of these for ever; so they run them themselves."""
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TASKS.replace("KIND()", f"{kind}()")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        timeout=120,
    )
    assert done.stdout.strip() == "True", done.stderr


def test_progress(capsys):
    F, q = many_shots()
    with so.config(progress=True):
        _ = F @ q
    assert "shots: 100%" in capsys.readouterr().err


# ---------------------------------------------------------------------- settings of an operator


def test_an_operator_with_settings_of_its_own(processes):
    w = world("2d")
    G = w.F.configured(executor=processes, storage=Disk())
    assert np.array_equal(G @ w.q, w.F @ w.q)
    assert np.array_equal(G.H @ w.d, w.F.H @ w.d)
    assert np.array_equal(G[[1]] @ w.q[[1]], (w.F @ w.q)[[1]])
    assert G.H.H.settings == G.settings
    J = G.jacobian(w.q)
    assert np.array_equal(J @ w.dm, w.J @ w.dm)
    assert np.array_equal(J.H @ w.d, w.J.H @ w.d)
    assert J.op.factors[-1].op.storage == Disk()
    assert error(G.H.jacobian(w.d) @ w.dm, w.F.H.jacobian(w.d) @ w.dm) <= ROUNDING
    assert np.array_equal(so.fwi(G, w.q, w.d)[1], so.fwi(w.F, w.q, w.d)[1])
    assert np.array_equal(G.at(m=w.model.m * 1.01) @ w.q, w.F.at(m=w.model.m * 1.01) @ w.q)
    assert error((w.M @ G) @ w.q, w.M @ (w.F @ w.q)) <= ROUNDING
    assert checks.dot_test(G, verbose=False) <= ROUNDING
    assert repr(G) == "(Pr @ A @ Ps.H).configured(executor, storage): (2, 1, 61) -> (2, 3, 61)"


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match="colour"):
        world("2d").F.configured(colour="red")
    with pytest.raises(TypeError, match="colour"), so.config(colour="red"):
        pass


def test_reproducible(monkeypatch):
    """Points whose weights overlap, by several threads: what is added in which order must not depend on the clock."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    model = so.Model(v=np.full((300, 250), 2.0), spacing=10, dtype="float64")
    points = so.Geometry([[[x, 100.5] for x in np.linspace(20, 2900, 200)]], dt=2, t=100)
    B = so.Modeling(model, points).H @ so.Projection(model, points).H
    d = np.random.default_rng(0).standard_normal((1, 200, points.nt))
    with so.config(reproducible=True):
        first = B @ d
        assert all(np.array_equal(B @ d, first) for _ in range(3))


@pytest.mark.parametrize("others, threads", [(0.0, 4), (0.4, 4), (1.0, 3), (2.7, 1), (4.0, 1)])
def test_a_shot_leaves_the_cores_that_others_work_on(monkeypatch, others, threads):
    """Of four cores, one second after the other; its own work and its own children's is not that of others."""
    looks = iter([neighbours.Look(0.0, 50.0, 20.0), neighbours.Look(1.0, 53.0 + others, 23.0)])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(neighbours, "bound", lambda: range(4))
    monkeypatch.setattr(neighbours, "_last", None)
    monkeypatch.setattr(neighbours, "look", lambda: next(looks))
    monkeypatch.setattr(neighbours, "_busy", 0.0)
    monkeypatch.setattr(neighbours, "PERIOD", -np.inf)
    assert [cores.threads_now(4), cores.threads_now(4)] == [4, threads]
    # What the user asks for is taken at its word.
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert cores.threads_now(4) == 4


def test_what_others_work_is_what_the_machine_works_but_for_this_process():
    outside = [time.process_time()]
    before = neighbours.look()
    inside = [time.process_time()]
    while time.process_time() - inside[0] < 0.5:
        pass
    inside.append(time.process_time())
    after = neighbours.look()
    outside.append(time.process_time())
    # User and system time, of this process and of every core, are each cut to ticks.
    tick, n = 1 / os.sysconf("SC_CLK_TCK"), len(neighbours.bound())
    own, worked = after.own - before.own, after.worked - before.worked
    assert inside[1] - inside[0] - 2 * tick <= own <= outside[1] - outside[0] + 2 * tick
    assert own - 2 * (n + 1) * tick <= worked <= n * (after.wall - before.wall) + 2 * n * tick


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2)])
def test_linear_algebra_has_one_thread_while_shots_run(executor):
    """Its threads would spin on cores that march; what the user has set comes back."""

    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    def misfit(d_syn, d_obs):
        seen.append(threads())
        return 0.5 * float(np.sum((d_syn - d_obs) ** 2)), d_syn - d_obs

    w, seen = world("2d"), []
    d = np.zeros(w.F.dimsd)
    with threadpool_limits(limits=2, user_api="blas"), so.config(executor=executor):
        before = threads()
        so.fwi(w.F, w.q, d, misfit=misfit)
        assert threads() == before == {2}
    assert seen == [{1}] * w.src.nsrc


def test_linear_algebra_has_its_threads_again_whoever_leaves_last():
    entered, left, done = threading.Event(), threading.Event(), threading.Event()

    def first():
        with one_thread:
            entered.set()
            left.wait(60)
        done.set()

    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(first)
            entered.wait(60)
            with one_thread:
                left.set()
                done.wait(60)
                running.result()
                assert threads() == {1}
            # The thread that limited it is there still.
            assert threads() == before
