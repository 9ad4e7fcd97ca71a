"""Python's part of a product: how many functions are called for it, and how deep below it the kernel is.

Of one small shot and in one thread, when all that is made once has been made: python benchmarks/calls.py [--who 20]
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

import devito
import numpy as np

import seisops as so

compiled = devito.Operator.cfunction.fget


def counted(product: Callable[[], object]) -> Counter:
    """The Python functions that a product calls, each as often as it is called."""
    calls: Counter = Counter()

    def noted(frame, event: str, arg: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    # What the collector calls comes when it comes.
    gc.collect()
    gc.disable()
    sys.setprofile(noted)
    try:
        product()
    finally:
        sys.setprofile(None)
        gc.enable()
    # The lambda is no call of the library.
    calls[product.__code__] -= 1
    return +calls


def depth(product: Callable[[], object]) -> int:
    """Python frames from a product down to the call of its kernel."""
    found = 0

    def noting(self):
        def call(*arguments):
            nonlocal found
            found, frame = 0, sys._getframe(1)
            while frame.f_code is not product.__code__:
                found, frame = found + 1, frame.f_back
            return compiled(self)(*arguments)

        return call

    with replaced(noting):
        product()
    return found


@contextmanager
def replaced(cfunction: Callable):
    """Another way to the compiled function of Devito's operators, inside a ``with`` block."""
    devito.Operator.cfunction = property(cfunction)
    try:
        yield
    finally:
        devito.Operator.cfunction = property(compiled)


def survey(n: int = 25) -> tuple:
    """A modelling operator of one shot, its source, its data and a perturbation."""
    model = so.Model(v=np.linspace(1.5, 2.5, n) * np.ones((n, 1)), spacing=10.0)
    src = so.Geometry.line([0.4 * n * 10 + 1.7], depth=23.0, dt=2.0, t=400.0)
    rec = so.Geometry.spread(np.linspace(23.0, n * 10 - 43.0, 3), depth=33.0, nsrc=1, dt=2.0, t=400.0)
    F = so.modeling(model, src, rec)
    q = so.ricker(src, f0=0.010)
    return F, q, F @ q, 0.01 * model.m


def products() -> dict[str, Callable[[], object]]:
    """What is counted: a shot, a cold gradient, a warm one."""
    F, q, d, dm = survey()
    colds = iter([F.jacobian(q) for _ in range(8)])
    warm = F.jacobian(q)
    return {
        "F @ q": lambda: F @ q,
        "F.H @ d": lambda: F.H @ d,
        "J.H @ d, cold": lambda: next(colds).H @ d,
        "J.H @ d, warm": lambda: warm.H @ d,
        "J @ dm, warm": lambda: warm @ dm,
        "F.linearize(q)": lambda: F.linearize(q),
        "Jacobian(F, q)": lambda: so.Jacobian(F, q),
        "F.at(m=...)": lambda: F.at(m=F.model.m),
    }


def torch_products() -> dict[str, Callable[[], object]]:
    """Those of a layer of torch."""
    import torch
    from seisops_torch import Layer

    F, q, d, _ = survey()
    # In memory of torch's own, which is aligned: what is not is copied on its way in, by seven calls more.
    x, m, y = (torch.from_numpy(a).clone() for a in (q, F.model.m, d))
    layer, leaf = Layer(F), m.clone().requires_grad_()
    return {
        "Layer(F)(x)": lambda: layer(x),
        "Layer(F)(x, m=m)": lambda: layer(x, m=m),
        "Layer(F)(x, m=leaf)": lambda: layer(x, m=leaf),
        "and its gradient": lambda: layer(x, m=leaf).backward(y),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", type=int, default=0, help="name so many functions that are called most")
    parser.add_argument("--torch", action="store_true", help="those of a layer of torch too")
    args = parser.parse_args()
    print(f"{'product':20} {'calls':>6} {'frames':>7}")
    for name, product in (products() | (torch_products() if args.torch else {})).items():
        product()
        product()
        calls = counted(product)
        print(f"{name:20} {sum(calls.values()):6} {depth(product):7}")
        for code, n in calls.most_common(args.who):
            print(f"    {n:4} {code.co_qualname} ({code.co_filename.rpartition('site-packages/')[-1]})")


if __name__ == "__main__":
    main()
