"""What the factors of a product are to one another: neighbours that fit, and propagations that run as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import isclose

from pylops import LinearOperator

from seisops.algebra.operator import SeismicOperator, TimeAxis, describe, word

_fusion: ContextVar[bool] = ContextVar("fusion", default=True)


@contextmanager
def no_fusion():
    """Run every factor by itself, through wavefields in memory: slow, and the oracle for fused products.

    Examples
    --------
    >>> import seisops as so
    >>> with so.no_fusion():
    ...     pass
    """
    token = _fusion.set(False)
    try:
        yield
    finally:
        _fusion.reset(token)


def fuses() -> bool:
    """Whether products run fused here."""
    return _fusion.get()


def fuse(factors: Sequence[LinearOperator]) -> tuple[LinearOperator, ...]:
    """Replace every ``[sampler] A [sampler.H]`` by the propagation that computes it in one go."""
    result: list[LinearOperator] = []
    waiting = list(factors)
    while waiting:
        f = waiting.pop(0)
        if getattr(f, "propagates", False):
            left = result.pop() if result and getattr(result[-1], "samples", False) else None
            behind = getattr(waiting[0], "adjoint_of", None) if waiting else None
            right = waiting.pop(0).adjoint_of if behind is not None and behind.samples else None
            f = f.propagation(left, right)
        result.append(f)
    return tuple(result)


def phrase(factors: Sequence[LinearOperator]) -> str:
    """A product as it is written, with the source's name for what stands on the source side of A or A.H."""

    def named(i: int, f: LinearOperator) -> str:
        before, after = factors[i - 1] if i else None, factors[i + 1] if i + 1 < len(factors) else None
        turned = getattr(f, "adjoint_of", None)
        if turned is not None and getattr(before, "propagates", False) and before.adjoint_of is None:
            return f"{turned.source_name or turned.sentence}.H"
        if getattr(f, "source_name", None) and getattr(after, "propagates", False) and after.adjoint_of is not None:
            return f.source_name
        return word(f)

    return " @ ".join(named(i, f) for i, f in enumerate(factors))


def check_neighbours(left: LinearOperator, right: LinearOperator, whole: Sequence[LinearOperator] = ()) -> None:
    """Refuse a product of operators whose shapes or grids differ, `whole` being those that the user wrote."""
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"Cannot multiply {describe(left)} by {describe(right)}: the left takes {left.dims}, the right gives "
            f"{right.dimsd}. {_hint(*(whole or (left, right)))}{_times(left, right)}"
        )
    a, b = getattr(left, "model", None), getattr(right, "model", None)
    if a is not None and b is not None and a is not b and a.grid_key != b.grid_key:
        raise ValueError(
            f"Cannot multiply {describe(left)} by {describe(right)}: their models have different grids, {a} and {b}."
        )


def _hint(left: LinearOperator, right: LinearOperator) -> str:
    """What was probably meant by a product whose shapes differ."""
    if left.shape[1] == right.shape[1] != right.shape[0]:
        return f"Its adjoint fits: {word(left)} @ {_transposed(right)}."
    if left.shape[0] == right.shape[0] != left.shape[1]:
        return f"The adjoint of the left fits: {_transposed(left)} @ {word(right)}."
    return "Operators of one product need the same shots, model grid and recording time t."


def _times(left: LinearOperator, right: LinearOperator) -> str:
    """The time axes of two operators on wavefields that do not march as long."""
    a, b = (getattr(getattr(op, "adjoint_of", None) or op, "geometry", None) for op in (left, right))
    if a is None or b is None or (a.onset, a.end) == (b.onset, b.end):
        return ""
    return (
        f" Their times go from {a.onset:g} to {a.end:g} ms and from {b.onset:g} to {b.end:g} ms: let both end at the "
        "same t0 + t, and begin at the same t0 where one is negative."
    )


def _transposed(op: LinearOperator) -> str:
    text = word(op)
    if " @ " in text:
        return f"({text}).H"
    return text.removesuffix(".H") if text.endswith(".H") else f"{text}.H"


def sampled(op: LinearOperator) -> tuple[TimeAxis | None, TimeAxis | None]:
    """The sampling of the data that the wavefields of any operator belong to."""
    return getattr(op, "sampled", (None, None))


def sampled_along(op: SeismicOperator, factors: Sequence[LinearOperator]) -> tuple[TimeAxis | None, TimeAxis | None]:
    """The samplings at both ends of a product, refused where wavefields on the way are of two."""
    stretches: list[TimeAxis | None] = [None]
    for f in factors:
        gives, takes = getattr(f, "sampled", (None, None))
        stretches[-1] = gives if stretches[-1] is None else agreed(op, stretches[-1], gives)
        if gives or takes or f.shape[0] != f.shape[1]:
            stretches.append(takes)
    return stretches[0], stretches[-1]


def agreed(op: SeismicOperator, a: TimeAxis | None, b: TimeAxis | None) -> TimeAxis | None:
    """The one sampling of wavefields that meet in `op`."""
    if a is None or b is None:
        return b if a is None else a
    (dt, onset), (other, late) = a, b
    if not isclose(dt, other, rel_tol=1e-6):
        raise ValueError(
            f"In {op} wavefields of data every {dt:g} ms meet those of data every {other:g} ms: amplitudes would be "
            f"wrong by a factor of {max(dt / other, other / dt) ** 0.5:.4g}. Make one of the samplers with "
            "geometry.resampled(dt), and its series with so.resample(q, geometry, dt)."
        )
    if not isclose(onset, late, abs_tol=1e-6 * dt):
        first = min(onset, late)
        raise ValueError(
            f"In {op} wavefields that set out at {onset:g} ms meet those that set out at {late:g} ms, as t0 of the "
            f"geometries says. Let both start at the earlier one with geometry.resampled(dt, t0={first:g}), and its "
            f"series with so.resample(q, geometry, dt, t0={first:g})."
        )
    return a
