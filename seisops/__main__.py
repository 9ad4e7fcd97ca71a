"""What is installed and what it runs with, and whether its operators are right here: ``python -m seisops``."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import seisops as so
from seisops.execution.cores import cores
from seisops.propagators.environment import environment

PACKAGES = ("numpy", "scipy", "pylops", "matplotlib", "h5py", "segyio", "pyrevolve", "torch", "keras", "tensorflow")
# What rounding may leave of a dot test in single precision, and how far slopes may be from 1 and 2.
DOT, SLOPE = 1e-5, 0.1


def main(arguments: list[str] | None = None) -> int:
    """Print the versions and run the checks; the exit status is 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m seisops", description=__doc__)
    parser.add_argument("--no-checks", action="store_true", help="print what is installed alone")
    options = parser.parse_args(arguments)
    rows = {"seisops": so.__version__, "Python": f"{platform.python_version()}, {sys.executable}"}
    rows |= {"machine": f"{platform.platform()}, {cores()} threads"} | environment()
    rows |= {name: found for name in PACKAGES if (found := _version(name))}
    for name, value in rows.items():
        print(f"{name:12} {value}")
    return 0 if options.no_checks else _checks()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _checks() -> int:
    model = so.Model(v=1.5 + 0.01 * np.add.outer(np.zeros(51), np.arange(41.0)), spacing=10.0)
    src = so.Geometry.line([155.0, 352.0], depth=20.0, dt=2.0, t=400.0)
    rec = so.Geometry.spread(np.linspace(50.0, 450.0, 9), depth=25.0, nsrc=2, dt=2.0, t=400.0)
    F, q = so.modeling(model, src, rec), so.ricker(src, f0=0.015)
    print("\nchecks, which compile a few kernels the first time:")
    began = time.monotonic()
    with so.config(progress=sys.stderr.isatty()):
        J = so.Jacobian(F, q)
        results = {
            "F.H is the adjoint of F": so.checks.dot_test(F, verbose=False) <= DOT,
            "J.H is the adjoint of J": so.checks.dot_test(J, verbose=False) <= DOT,
            "J is the derivative of F": _slopes(F, q, J),
        }
    for name, right in results.items():
        print(f"  {'ok  ' if right else 'WRONG'} {name}")
    print(f"  {time.monotonic() - began:.0f} s")
    return 0 if all(results.values()) else 1


def _slopes(F, q, J) -> bool:
    found = so.checks.taylor_test(lambda m: F.at(m=m) @ q, J, F.model.m, verbose=False).slopes
    return bool(np.allclose(found, (1, 2), atol=SLOPE))


if __name__ == "__main__":
    sys.exit(main())
