"""Engines that are not of this library: Dask and MPI run shots, and lose workers, without a change of the result."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from test_execution import many_shots
from zoo import world

import seisops as so

# The engines' own clean-up is theirs.
pytestmark = [
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def client():
    """A Dask cluster of two processes on this machine."""
    import distributed

    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_dask_gives_the_same(client):
    w = world("2d")
    J = w.F.jacobian(w.q)
    expected = w.F @ w.q, J @ w.dm, J.H @ w.d, so.fwi(w.F, w.q, w.d)[1]
    with so.config(executor=client.get_executor()):
        J = w.F.jacobian(w.q)
        found = w.F @ w.q, J @ w.dm, J.H @ w.d, so.fwi(w.F, w.q, w.d)[1]
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


class Fatal(so.misfits.L2):
    """Least squares, which kill the process that counts the twentieth shot: in the middle of it, with others done."""

    def __init__(self, folder):
        self.count, self.victim = folder / "count", folder / "victim"

    def __call__(self, d_syn, d_obs):
        with open(self.count, "ab", buffering=0) as file:
            file.write(b".")
            # What is appended comes after what other processes have written: no two of them count the same.
            twentieth = file.tell() == 20
        if twentieth:
            self.victim.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(d_syn, d_obs)


def test_a_lost_worker_changes_nothing(client, tmp_path):
    F, q = many_shots(50)
    d = F.at(m=1.02 * F.model.m) @ q
    value, gradient = so.fwi(F, q, d)
    fatal = Fatal(tmp_path)
    with so.config(executor=client.get_executor()):
        again = so.fwi(F, q, d, misfit=fatal)
    assert int(fatal.victim.read_text()) != os.getpid()
    # Those of the shots that the victim was at, or had not handed over, have been run once more.
    assert fatal.count.stat().st_size > 50
    assert again[0] == value
    assert np.array_equal(again[1], gradient)


@pytest.mark.long
def test_mpi_gives_the_same(tmp_path):
    script = tmp_path / "shots.py"
    script.write_text(
        textwrap.dedent("""
            import numpy as np, seisops as so
            from mpi4py.futures import MPIPoolExecutor
            from zoo import world

            if __name__ == "__main__":
                w = world("2d")
                expected = w.F @ w.q, so.fwi(w.F, w.q, w.d)[1]
                with MPIPoolExecutor() as pool, so.config(executor=pool):
                    found = w.F @ w.q, so.fwi(w.F, w.q, w.d)[1]
                    print("workers", pool.num_workers)
                print("same", all(np.array_equal(a, b) for a, b in zip(found, expected)))
        """)
    )
    out = mpiexec(3, "-m", "mpi4py.futures", str(script))
    assert "workers 2" in out
    assert "same True" in out


def mpiexec(ranks: int, *arguments: str, **environment: str) -> str:
    """What Python prints on so many ranks."""
    tools = os.path.dirname(sys.executable)
    paths = {"PYTHONPATH": os.path.dirname(__file__), "PATH": tools}
    env = {k: os.pathsep.join([x, os.environ.get(k, "")]) for k, x in paths.items()} | environment
    command = [os.path.join(tools, "mpiexec"), "-n", str(ranks), sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
