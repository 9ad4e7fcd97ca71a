"""The checks this library is trusted by, for any operator and set-up of yours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.arrays import real
from seisops.wavelets import UndersampledWarning


def dot_test(op: LinearOperator, *, seed: int = 0, verbose: bool = True) -> float:
    r"""Whether ``op.H`` is the adjoint of ``op``.

    .. math:: e = |\langle op\, x, y \rangle - \langle x, op^H y \rangle| / (\|op\, x\| \|y\|)

    for random x and y. The error is measured against the norms because the inner product of random
    vectors may come out close to zero by chance.

    Parameters
    ----------
    op : LinearOperator
        Any operator, of this library or PyLops' own, real or complex.
    seed : int
        Of the random vectors.
    verbose : bool
        Print a line.

    Returns
    -------
    float
        The relative error e: rounding, about 1e-15 in float64 and 1e-7 in float32, if the adjoint is right.

    Examples
    --------
    >>> import pylops, seisops as so
    >>> so.checks.dot_test(pylops.FirstDerivative(100), verbose=False) < 1e-14
    True
    """
    rng = np.random.default_rng(seed)
    x, y = _random(rng, op.shape[1], op.dtype), _random(rng, op.shape[0], op.dtype)
    with _any_frequency():
        Ax, AHy = _wide(op.matvec(x)), _wide(op.rmatvec(y))
    left, right = np.vdot(Ax, _wide(y)), np.vdot(_wide(x), AHy)
    scale = np.linalg.norm(Ax) * np.linalg.norm(_wide(y))
    if scale == 0:
        raise ValueError(f"{op!r} maps a random vector to zero: the test says nothing about its adjoint.")
    error = float(abs(left - right) / scale)
    if verbose:
        print(f"dot test   {op!r}: {error:.1e}")
    return error


def linearity(op: LinearOperator, *, seed: int = 0, verbose: bool = True) -> float:
    r"""Whether ``op`` is linear.

    .. math:: e = \|op(a x + y) - a\, op\, x - op\, y\| / \|op(a x + y)\|

    Parameters
    ----------
    op : LinearOperator
    seed : int
    verbose : bool

    Returns
    -------
    float
        The relative error e.

    Examples
    --------
    >>> import pylops, seisops as so
    >>> so.checks.linearity(pylops.FirstDerivative(100), verbose=False) < 1e-14
    True
    """
    rng = np.random.default_rng(seed)
    x, y = _random(rng, op.shape[1], op.dtype), _random(rng, op.shape[1], op.dtype)
    a = op.dtype.type(0.7)
    with _any_frequency():
        together, apart = _wide(op.matvec(a * x + y)), a * _wide(op.matvec(x)) + _wide(op.matvec(y))
    error = float(np.linalg.norm(together - apart) / np.linalg.norm(together))
    if verbose:
        print(f"linearity  {op!r}: {error:.1e}")
    return error


# How far above what rounding changes a remainder must be to count, and how many count at least.
ABOVE_ROUNDING = 5
FEWEST = 3


@dataclass(frozen=True)
class TaylorResult:
    """Steps, the first- and second-order remainders, their slopes in the logarithm, and what rounding changes.

    Slopes are fitted over the steps whose remainders are five times above `rounding`, and over the three largest at
    least.
    """

    steps: NDArray
    first: NDArray
    second: NDArray
    slopes: tuple[float, float]
    rounding: float


def taylor_test(
    function: Callable[[NDArray], ArrayLike],
    derivative: LinearOperator | ArrayLike,
    m: ArrayLike,
    *,
    dm: ArrayLike | None = None,
    steps: ArrayLike | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> TaylorResult:
    r"""Whether `derivative` is the derivative of `function` at `m`.

    The remainders :math:`\|f(m + h\,dm) - f(m)\|` and :math:`\|f(m + h\,dm) - f(m) - h\,J\,dm\|` must
    fall with slopes 1 and 2.

    Parameters
    ----------
    function : callable
        From an array like `m` to an array or a number.
    derivative : LinearOperator, or array like `m`
        The Jacobian, or the gradient of a scalar function.
    m : array
        Where the derivative was taken.
    dm : array, optional
        The direction; random by default, up to a tenth of `m`.
    steps : array, optional
        The h, by default over three and a half decades from 0.1, in single precision over two decades from 1.
    seed : int
    verbose : bool
        Print the table.

    Returns
    -------
    TaylorResult
        With `slopes`, fitted over the steps whose remainders rounding does not hide.

    Notes
    -----
    What rounding changes is measured: f at m with random changes of its last digit, in the least precise of the types
    of m, f and the derivative.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> m = np.linspace(1, 2, 5)
    >>> result = so.checks.taylor_test(lambda m: (m**3).sum(), 3 * m**2, m, verbose=False)
    >>> np.round(result.slopes, 1).tolist()
    [1.0, 2.0]
    """
    rng = np.random.default_rng(seed)
    kinds = [getattr(x, "dtype", None) for x in (m, derivative)]
    m = real(m, "The parameter")
    if dm is None:
        dm = 0.1 * m * rng.uniform(-1, 1, m.shape)
    dm = real(dm, "The perturbation")
    value = np.asarray(function(m))
    base, eps = _wide(value), max(map(_last_digit, [*kinds, value.dtype]))
    if steps is None:
        steps = np.logspace(0, -2, 8) if eps > np.finfo(np.float64).eps else np.logspace(-1, -4.5, 8)
    steps = np.asarray(steps, dtype=np.float64)
    linear = derivative @ dm.ravel() if isinstance(derivative, LinearOperator) else np.vdot(derivative, dm)
    linear = _wide(np.asarray(linear)).reshape(base.shape)
    change = [_wide(np.asarray(function(m + h * dm))) - base for h in steps]
    first = np.array([np.linalg.norm(c) for c in change])
    second = np.array([np.linalg.norm(c - h * linear) for c, h in zip(change, steps, strict=True)])
    changed = _wide(np.asarray(function(m * (1 + eps * rng.choice([-1.0, 1.0], m.shape)))))
    rounding = float(max(np.linalg.norm(changed - base), eps * np.linalg.norm(base)))
    slopes = (_slope(steps, first, rounding), _slope(steps, second, rounding))
    if verbose:
        print("taylor test        h   |f(m+h dm) - f(m)|   |... - h J dm|")
        for h, *remainders in zip(steps, first, second, strict=True):
            hidden = "   below rounding" if min(remainders) <= ABOVE_ROUNDING * rounding else ""
            print("           {:9.1e}   {:18.3e}   {:14.3e}".format(h, *remainders) + hidden)
        print("           slopes {:20.2f}   {:14.2f}   (1 and 2 if the derivative is right)".format(*slopes))
    return TaylorResult(steps, first, second, slopes, rounding)


def _last_digit(dtype: np.dtype | None) -> float:
    """What the last digit of a type is worth, of one."""
    return float(np.finfo(dtype).eps) if dtype is not None and np.dtype(dtype).kind in "fc" else 0.0


def _slope(steps: NDArray, remainders: NDArray, rounding: float) -> float:
    """The slope of remainders in the logarithm, where rounding does not hide them."""
    order = np.argsort(steps)[::-1]
    above = int(np.sum(np.cumprod(remainders[order] > ABOVE_ROUNDING * rounding)))
    used = order[: max(above, min(FEWEST, len(steps)))]
    return float(np.polyfit(np.log(steps[used]), np.log(remainders[used]), 1)[0])


@contextmanager
def _any_frequency() -> Iterator[None]:
    """Random vectors are no wavelet: that the grid does not carry them says nothing here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndersampledWarning)
        yield


def _random(rng: np.random.Generator, n: int, dtype: np.dtype) -> NDArray:
    x = rng.standard_normal(n)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(n)
    return x.astype(dtype)


def _wide(x: NDArray) -> NDArray:
    return np.asarray(x, dtype=np.result_type(x.dtype, np.float64))
