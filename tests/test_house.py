"""What the library does to its surroundings: nothing. And what it says of itself: everything."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
from zoo import world

import seisops as so
from seisops.propagators.surroundings import FLUSH


def run(code):
    """What a fresh interpreter prints, its warnings being errors."""
    path = os.pathsep.join(p for p in sys.path if p)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# What seisops' own lines ask for while its modules are imported: PyLops loads frameworks too where they are installed.
ASKED = """
import builtins, sys
asked, real = set(), builtins.__import__

def noted(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and globals and globals.get("__name__", "").partition(".")[0] == "seisops":
        asked.add(name.partition(".")[0])
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = noted
import importlib
for name in NAMES:
    importlib.import_module(name)
print(*sorted(asked - sys.stdlib_module_names - {"seisops"}))
"""


@pytest.mark.parametrize("all_modules", [False, True], ids=["seisops", "every module"])
def test_the_import_asks_for_what_is_required_and_for_nothing_else(all_modules):
    config = ConfigParser()
    config.read(Path(__file__).parents[1] / "setup.cfg")
    required = re.findall(r"^\w+", config["options"]["install_requires"], re.MULTILINE)
    names = modules() if all_modules else ["seisops"]
    # Pytest is PyLops' need; cloudpickle is taken where it is installed, as it is wherever Devito is, and Matplotlib,
    # whose settings are kept from what PyLops imports.
    taken = {"cloudpickle", "matplotlib"}
    assert run(ASKED.replace("NAMES", repr(names))).split() == sorted({*required} - {"pytest"} | taken)


def test_the_import_builds_nothing_and_leaves_devito_alone():
    code = (
        "import devito; before = {k: str(v) for k, v in devito.configuration.items()};"
        "import numpy as np, seisops as so;"
        "from seisops.propagators import kernels; assert not kernels._kernels and not kernels.built;"
        "after = {k: str(v) for k, v in devito.configuration.items()}; assert before == after, (before, after)"
    )
    run(code)


def test_a_run_leaves_devito_alone():
    from devito import configuration

    before = {k: str(x) for k, x in configuration.items()}
    w = world("2d")
    so.fwi(w.F, w.q, w.d)
    assert {k: str(x) for k, x in configuration.items()} == before


def test_a_run_leaves_the_arithmetic_alone():
    w = world("2d-float32")
    w.F @ w.q.astype(np.float32)
    w.F.H @ w.d.astype(np.float32)
    # A subnormal number: flush-to-zero, which -ffast-math switches on for a whole process, would lose it.
    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) != 0
    assert np.all(np.full(16, 1e-40, np.float32) * np.ones(16, np.float32) != 0)
    assert np.float64(1e-310) * 1.0 != 0


def test_samplers_take_subnormal_numbers_for_zero():
    """As kernels do: a processor stops at each, and what points record before a wave arrives is full of them."""
    w = world("2d-float32")
    Pr = so.Projection(w.model, w.rec)
    tiny, kept = np.float32(1e-40), FLUSH is None
    assert np.any(Pr @ np.full(Pr.dims, tiny)) == kept
    assert np.any(Pr.H @ np.full(Pr.dimsd, tiny)) == kept
    assert np.all(np.full(16, tiny) * np.ones(16, np.float32) != 0)


def test_a_run_in_a_fresh_process_leaves_the_arithmetic_alone():
    code = (
        "import numpy as np, seisops as so;"
        "model = so.Model(v=np.full((25, 21), 2.0), spacing=(10.0, 12.0), dtype='float32');"
        "g = so.Geometry([[[101.3, 90.9]]], dt=2.0, t=60.0); P = so.Projection(model, g);"
        "F = P @ so.Modeling(model, g) @ P.H; F @ so.ricker(g, 0.02);"
        "print(np.float32(1e-40) * np.float32(1) != 0)"
    )
    assert run(code).strip() == "True"


def test_a_run_says_nothing(capfd):
    w = world("2d")
    w.F @ w.q
    w.F.H @ w.d
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_the_random_numbers_are_left_alone():
    w = world("2d")
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (the global state is what is looked at)
    so.checks.dot_test(w.F, verbose=False)
    so.checks.linearity(w.F, verbose=False)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_settings_end_with_their_block():
    from seisops.execution import config as execution

    before = execution._config.get()
    with so.config(progress=True) as inside:
        assert inside.progress
    assert execution._config.get() == before


# ---------------------------------------------------------------------- words


def public():
    """Every public function and class, of the package and of its public modules."""
    for name in so.__all__:
        thing = getattr(so, name)
        if inspect.ismodule(thing):
            yield from (
                pytest.param(member, id=f"{name}.{word}")
                for word, member in vars(thing).items()
                if callable(member) and not word.startswith("_") and getattr(member, "__module__", "") == thing.__name__
            )
        else:
            yield pytest.param(thing, id=name)


@pytest.mark.parametrize("thing", public())
def test_what_is_public_is_documented(thing):
    assert inspect.getdoc(thing)


@pytest.mark.parametrize("name", [n for n in so.__all__ if not inspect.ismodule(getattr(so, n))])
def test_what_is_public_has_an_example(name):
    thing = getattr(so, name)
    assert "Examples\n" in inspect.getdoc(thing)
    assert ">>> " in inspect.getdoc(thing)
    if inspect.isclass(thing):
        assert "Parameters\n" in inspect.getdoc(thing)


def test_what_is_public_is_listed_in_order():
    assert sorted(so.__all__) == sorted(set(so.__all__))
    for name in so.__all__:
        assert getattr(so, name) is not None


def modules():
    return ["seisops", *(m.name for m in pkgutil.walk_packages(so.__path__, "seisops."))]


@pytest.mark.parametrize("name", modules())
def test_examples_of_the_documentation(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} says nothing of itself"
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, report=True)
    assert result.failed == 0


def test_no_control_characters_in_the_documentation():
    for name in modules():
        source = inspect.getsource(importlib.import_module(name))
        assert all(c.isprintable() or c == "\n" for c in source), f"{name} has a character that does not print"
