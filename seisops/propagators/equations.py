r"""The wave equation and its transpose, as Devito equations.

For n = 0 ... nt - 1 the scheme marches

.. math:: \frac{m}{h^2} (u_{n+1} - 2 u_n + u_{n-1}) = (L + C) u_n + s_n

with the symmetric Laplacian L and the absorbing layer C. The transpose is the same march
in the opposite direction of time with C transposed, so every equation below is written with
``nxt``, ``cur`` and ``prv``: the wavefield one step ahead in the direction of the march, now, and one
step behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from devito import Derivative, Eq, Function, Grid, Inc, SubDomain, TimeFunction

# Cells that the widest vector instructions take at once; the rest of a strip would go cell by cell.
VECTOR = 16


@dataclass(frozen=True)
class March:
    """The direction of time: forwards for the wave equation, backwards for its transpose."""

    adjoint: bool

    def ahead(self, f: TimeFunction):
        """`f` one step ahead."""
        return f.backward if self.adjoint else f.forward

    def behind(self, f: TimeFunction):
        """`f` one step behind."""
        return f.forward if self.adjoint else f.backward


def strip_cells(absorb: int, order: int, contiguous: bool) -> int:
    """Cells of the strip a layer lives on: as far as its derivatives reach, along the contiguous axis whole vectors."""
    reach = absorb + order // 2
    return -(-reach // VECTOR) * VECTOR if contiguous else reach


class Side(SubDomain):
    """A strip of `thickness` cells at one side of the padded grid; None takes the whole axis."""

    def __init__(self, axis: int, side: str, thickness: int, grid: Grid) -> None:
        self.name, self.axis, self.side, self.thickness = f"{side}{axis}", axis, side, thickness
        super().__init__(grid=grid)

    def define(self, dimensions):
        strip = dimensions[self.axis] if self.side == "whole" else (self.side, self.thickness)
        return {d: strip if d is dimensions[self.axis] else d for d in dimensions}

    def within(self, shape: tuple[int, ...], part: tuple[slice, ...]) -> tuple[slice, ...]:
        """The strip of a padded grid of `shape` in an array of the `part` of it."""
        n, held = shape[self.axis], part[self.axis]
        start, stop = {"left": (0, self.thickness), "right": (n - self.thickness, n), "whole": (0, n)}[self.side]
        start, stop = (min(max(i, held.start), held.stop) - held.start for i in (start, stop))
        return (slice(None),) * self.axis + (slice(start, stop),)


def wave(march: March, u: TimeFunction, dinv: Function, order: int) -> list[Eq]:
    """One leapfrog step in the interior."""
    laplacian = sum(Derivative(u, (d, 2), fd_order=order) for d in u.grid.dimensions)
    return [Eq(march.ahead(u), 2 * u - march.behind(u) + dinv * laplacian)]


def absorbing_layer(march: March, u, dinv, layers: list[Layer], order: int) -> list[Eq]:
    r"""The recursive-convolution CPML (Komatitsch and Martin, 2007, Geophysics 72) or its transpose.

    Forwards :math:`\psi_n = b\psi_{n-1} + a\,\partial u_n`,
    :math:`\zeta_n = b\zeta_{n-1} + a(\partial^2 u_n + \partial\psi_n)`, and the right-hand side gains
    :math:`\partial\psi_n + \zeta_n`. With :math:`\partial^T = -\partial` the transpose is
    :math:`\alpha_n = b\alpha_{n+1} + v_n`,
    :math:`\beta_n = b\beta_{n+1} - \partial(v_n + a\alpha_n)`, and the right-hand side gains
    :math:`\partial^2(a\alpha_n) - \partial(a\beta_n)`.

    Each memory field needs no more than its last value, at the node itself, and is updated in place.
    """
    first, rest = [], []
    for layer in layers:
        a, b, psi, zeta = layer.a, layer.b, layer.psi, layer.zeta

        def D(f, n=1, d=layer.dimension):
            return Derivative(f, (d, n), fd_order=order)

        if march.adjoint:
            psi_now = b * psi + u
            zeta_now = b * zeta - D(u) - D(a * psi)
            gain = D(a * psi, 2) - D(a * zeta)
        else:
            psi_now = b * psi + a * D(u)
            zeta_now = b * zeta + a * (D(u, 2) + D(psi))
            gain = D(psi) + zeta
        for side in layer.sides:
            first.append(Eq(psi, psi_now, subdomain=side))
            second = [Eq(zeta, zeta_now, subdomain=side)]
            rest += [*second, Inc(march.ahead(u), dinv * gain, subdomain=side)]
    return first + rest


def free_surface(march: March, u: TimeFunction, order: int) -> list[Eq]:
    """Zero pressure at the first node of the last axis, the mirror image with its sign above it."""
    z, new = u.grid.dimensions[-1], march.ahead(u)
    mirror = [Eq(new._subs(z, -k), -new._subs(z, k)) for k in range(1, order // 2 + 1)]
    return [Eq(new._subs(z, 0), 0), *mirror]


@dataclass(frozen=True, eq=False)
class Layer:
    """The absorbing layer along one axis: coefficients, memory fields and the strips they live on."""

    dimension: object
    a: Function
    b: Function
    psi: Function
    zeta: Function
    sides: list
