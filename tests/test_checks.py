"""What the checks say in single precision, and of the installation."""

import subprocess
import sys

import numpy as np
import pytest
from zoo import SLOPE, world

import seisops as so
from seisops import __main__ as installation


def test_slopes_in_single_precision_are_those_above_its_rounding(capsys):
    w = world("2d-float32")
    F, q = w.F, w.q.astype(np.float32)
    result = so.checks.taylor_test(lambda m: F.at(m=m) @ q, F.jacobian(q), F.model.m)
    assert np.allclose(result.slopes, (1, 2), atol=SLOPE)
    assert "below rounding" not in capsys.readouterr().out
    # Of smaller steps, all together look wrong; those that rounding hides are marked.
    steps = np.logspace(-1, -4.5, 8)
    result = so.checks.taylor_test(lambda m: F.at(m=m) @ q, F.jacobian(q), F.model.m, steps=steps)
    assert capsys.readouterr().out.count("below rounding") >= 4
    assert abs(np.polyfit(np.log(steps), np.log(result.second), 1)[0] - 2) > 0.3


@pytest.mark.parametrize("kind", ["2d", "2d-float32"])
def test_a_wrong_derivative_is_still_seen(kind):
    w = world(kind)
    F, q = w.F, w.q.astype(w.model.dtype)
    J = 1.02 * F.jacobian(q)
    result = so.checks.taylor_test(lambda m: F.at(m=m) @ q, J, F.model.m, verbose=False)
    assert result.slopes[0] == pytest.approx(1, abs=SLOPE)
    assert result.slopes[1] < 2 - 5 * SLOPE


def test_in_double_precision_all_steps_count():
    w = world("2d")
    result = so.checks.taylor_test(lambda m: w.F.at(m=m) @ w.q, w.J, w.model.m.astype(float), verbose=False)
    assert (result.second > 5 * result.rounding).all()


def test_the_installation_says_what_it_is_and_that_it_is_right(capsys):
    assert installation.main([]) == 0
    said = capsys.readouterr().out
    for part in (so.__version__, "Devito", "compiler", "threads", "kernels", "accelerator", "pylops"):
        assert part in said
    assert said.count("ok  ") == 3 and "WRONG" not in said


def test_an_installation_that_is_wrong_says_so(capsys, monkeypatch):
    monkeypatch.setattr(so.checks, "dot_test", lambda op, verbose: 0.1)
    assert installation.main([]) == 1
    assert capsys.readouterr().out.count("WRONG") == 2


def test_the_installation_from_the_command_line():
    done = subprocess.run([sys.executable, "-m", "seisops", "--no-checks"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "accelerator" in done.stdout and "checks" not in done.stdout
