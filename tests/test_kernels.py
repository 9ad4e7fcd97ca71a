"""A kernel is its scheme: what is compiled gives what NumPy gives, of every structure of grid and layer."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from zoo import DOT, error, random, shortened

import seisops as so
from seisops import checks
from seisops.physics.layer import absorbing, profile
from seisops.physics.reference import Reference
from seisops.physics.stencil import weights
from seisops.physics.terms import Difference
from seisops.propagators import kernels
from seisops.propagators.surroundings import float_environment, quiet
from seisops.propagators.workspaces import profile_values

# Rounding of a few hundred additions in another order.
ROUNDING = 1e-13

# Shape, cells of the layer, order, free surface: strips that are apart, that meet, one alone, and none.
STRUCTURES = [
    ((25, 21), 10, 8, False),
    ((25, 21), 10, 8, True),
    ((25, 21), 2, 2, False),
    ((25, 21), 2, 2, True),
    ((25, 24), 4, 4, True),
    ((9, 8), 3, 4, False),
    ((9, 10), 2, 8, True),
    ((9, 8), 0, 2, False),
    ((9, 8), 0, 6, True),
    ((5, 6, 5), 1, 2, False),
    ((6, 7, 9), 2, 4, True),
]
SHORT = [STRUCTURES[i] for i in (0, 1, 3, 5, 8, 9)]


def coefficients(model, scheme):
    found = {}
    for name in scheme.coefficients:
        along = profile(name)
        if along is None:
            found[name] = model.dt**2 / model.coefficients[name]
        else:
            shape = np.ones(model.ndim, int)
            shape[along[1]] = -1
            found[name] = profile_values(model, *along).reshape(shape)
    return found


@pytest.mark.parametrize("adjoint", [False, True], ids=["forward", "transpose"])
@pytest.mark.parametrize("shape, absorb, order, surface", shortened(STRUCTURES, SHORT))
def test_a_kernel_is_its_scheme(shape, absorb, order, surface, adjoint):
    spacing = (10.0, 12.0, 11.0)[: len(shape)]
    v = np.random.default_rng(1).uniform(1.5, 2.5, shape)
    model = so.Model(
        v=v, spacing=spacing, absorb=absorb, space_order=order, free_surface=surface, dtype="float64"
    )  # fmt: skip
    A = so.Modeling(model, so.Geometry(np.full((1, 1, len(shape)), 20.0), dt=2.0, t=40.0))
    scheme = absorbing(model.medium.scheme(model.ndim), range(model.ndim) if absorb else ())
    scheme = scheme.transpose if adjoint else scheme
    numpy = Reference(
        scheme, coefficients(model, scheme), model.padded_shape, spacing, model.dt, order=order, surface=surface
    )
    s = random(A.dims)
    expected, _ = numpy.march({"p": s[0]}, A.dims[1], adjoint=adjoint)
    assert error((A.H if adjoint else A) @ s, expected["p"][None]) <= ROUNDING
    assert checks.dot_test(A, verbose=False) <= DOT["float64"]


def test_kernels_of_an_operator_have_the_same_weights_to_the_last_digit():
    """Written with fewer in one kernel than in another they are as good, and adjoints end at 1e-12."""
    rock = np.ones((12, 11))
    model = so.Model(vp=2 * rock, vs=rock, rho=rock, spacing=10.0, absorb=0, space_order=4, dtype="float64")
    at = so.Geometry([[[50.0, 40.0]]], dt=1.0, t=20.0)
    F = so.modeling(model, at, at)
    q, d = random(F.dims), random(F.dimsd)
    J = F.jacobian(q, wrt="vp")
    J.H @ d
    F.linearize(q, "vp").pull(d)
    given = weights(Difference(0, shift=1), 4)[1]
    solids = [spec for spec in kernels._kernels if "vx" in {f.name for f in spec.scheme.fields}]
    marches = [str(kernels._kernels[spec]) for spec in solids if spec.space_order == 4]
    assert len(marches) >= 4
    written = {float(x) for text in marches for x in re.findall(r"\d+\.\d+(?:e[-+]\d+)?", text)}
    assert {abs(w) for w in given} <= written
    for w in given:
        assert not [x for x in written if x != abs(w) and abs(x - abs(w)) < 1e-6]


def test_a_compiler_knows_how_wide_strips_are():
    """Loops of a few cells take half as long where their number is in the code."""
    model = so.Model(v=np.full((25, 21), 2.0), spacing=10.0, absorb=2, space_order=2, dtype="float64")
    A = so.Modeling(model, so.Geometry([[[100.0, 100.0]]], dt=2.0, t=20.0))
    A @ random(A.dims)
    marches = [found for spec, found in kernels._kernels.items() if spec.absorb == 2 and spec.space_order == 2]
    assert marches
    assert not [p.name for found in marches for p in found.parameters if "tkn" in p.name]


def test_a_kernel_compiled_with_other_flags_is_another(monkeypatch):
    model = so.Model(v=np.full((12, 11), 2.0), spacing=10.0, absorb=0, space_order=2, dtype="float64")
    A = so.Modeling(model, so.Geometry([[[50.0, 40.0]]], dt=1.0, t=20.0))
    # Whatever other tests have marched.
    monkeypatch.setattr(kernels, "_kernels", {})
    A @ random(A.dims)
    ((spec, found),) = kernels._kernels.items()
    monkeypatch.setattr(kernels, "_FLAGS", {"-O3": "-O1"})
    with quiet(), float_environment():
        other = kernels._build(spec)
    assert str(other) == str(found)
    assert other._soname != found._soname


@pytest.mark.parametrize("x, known", [([103.0, 58.0], True), ([100.0, 58.0], False)], ids=["off", "on nodes"])
def test_a_compiler_knows_how_many_nodes_a_point_has(x, known):
    model = so.Model(v=np.full((25, 21), 2.0), spacing=10.0, absorb=0, space_order=6, dtype="float64")
    at = so.Geometry([[x]], dt=2.0, t=20.0)
    A = so.modeling(model, at, at)
    A @ random(A.dims)
    (points,) = A.factors[-1].op._couplings
    marches = [found for spec, found in kernels._kernels.items() if (spec.source, *spec.measures) == (points, points)]
    sizes = {p.name for found in marches for p in found.parameters if re.search(r"_k\d+_M", p.name)}
    assert marches
    assert bool(sizes) != known


@pytest.mark.long
def test_strips_that_wait_for_none_run_in_the_rows_of_the_grid(monkeypatch):
    """Marches of solids take up to a fifth less where the rows that strips read are still in the caches."""
    earth = so.Model(
        **{k: np.full((21, 41), x) for k, x in {"vp": 2.0, "vs": 1.0, "rho": 2.0}.items()}, spacing=10.0, absorb=3
    )
    point = so.Geometry([[[100.0, 100.0]]], dt=2.0, t=20.0)
    F = so.modeling(earth, point, point)
    # Whatever other tests have marched.
    monkeypatch.setattr(kernels, "_kernels", {})
    F @ random(F.dims)
    (march,) = kernels._kernels.values()
    loops = re.findall(r"for \(int (\w+) = (.*?); \w+ <= (.*?);", str(march.ccode))
    rows = [loops[i + 1 : i + 4] for i, loop in enumerate(loops) if loop == ("x", "x_m", "x_M")]
    # Of velocities and of stresses: all of a row, its strips at the left and at the right.
    assert sum(row == [("y", "y_m", "y_M"), ("y", "y_m", "y_m + 15"), ("y", "y_M - 15", "y_M")] for row in rows) == 2


ONE_SHOT = """
import warnings
import numpy as np
import seisops as so
from seisops.propagators import kernels
warnings.simplefilter("ignore")
model = so.Model(v=np.full((12, 11), 2.0), spacing=10.0, absorb=0, space_order=2)
at = so.Geometry([[[50.0, 40.0]]], dt=1.0, t=20.0)
F = so.modeling(model, at, at)
print("ready", flush=True)
input()
F @ np.ones(F.dims)
print(kernels.built, *(k._soname for k in kernels._kernels.values()))
"""


def started(cache, temporary=None):
    """A process that waits for a line before it needs its only kernel, which it keeps in a folder."""
    env = os.environ | {"XDG_CACHE_HOME": str(cache)} | ({"TMPDIR": str(temporary)} if temporary else {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", ONE_SHOT], env=env, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_that_need_the_same_kernel_build_it_once(tmp_path):
    """Who comes second waits for it, and finds it on disk."""
    both = [started(tmp_path) for _ in range(2)]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(int(process.communicate()[0].split()[0]) for process in both) == [0, 1]


def test_a_kernel_is_built_where_none_can_be_kept(tmp_path):
    no_folder = tmp_path / "file"
    no_folder.touch()
    process = started(no_folder)
    assert process.communicate("\n")[0].startswith("1 ")
    assert process.returncode == 0


def test_a_compile_that_was_killed_holds_up_no_other(tmp_path):
    """Its lock stays where Devito's compiler looks for one."""
    _, name = started(tmp_path / "one", tmp_path).communicate("\n")[0].split()
    for binary in tmp_path.glob(f"devito-jitcache-*/{name}*"):
        binary.unlink()
    lock = tmp_path / f"devito-codepy-uid{os.getuid()}" / name[:7] / "lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    process = started(tmp_path / "another", tmp_path)
    try:
        assert process.communicate("\n", timeout=120)[0].split() == ["1", name]
    finally:
        process.kill()
