"""A scheme run in NumPy on a small grid, step by step as it is written: the oracle for what is compiled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seisops.physics.scheme import Scheme
from seisops.physics.stencil import weights
from seisops.physics.steps import Perturbation, Port, Source, Stage
from seisops.physics.surface import edge
from seisops.physics.terms import ZERO, Difference, Operation, Term


class Reference:
    """A scheme on a grid.

    Parameters
    ----------
    scheme : Scheme
    coefficients : mapping of str to array
        Each of the grid's shape, or broadcast to it.
    shape : tuple of int
    spacing : tuple of float
    h : float
        Time step.
    order : int
        Of the differences.
    surface : bool
        A free surface at the first node of the last axis, about which some fields are mirrored.
    """

    def __init__(
        self, scheme: Scheme, coefficients: Mapping[str, NDArray], shape, spacing, h: float, *, order: int = 8,
        surface: bool = False,
    ) -> None:  # fmt: skip
        self.scheme, self.shape, self.spacing, self.h, self.order = scheme, tuple(shape), spacing, h, order
        self.mirrored = {f.name: f for f in scheme.fields if f.parity} if surface else {}
        self.coefficients = {k: np.broadcast_to(c, self.shape) for k, c in (*coefficients.items(), (ZERO, 0.0))}

    def march(
        self, inputs: Mapping[str, NDArray], nt: int, *, keep: tuple[Perturbation, ...] = (),
        scatter: Mapping[Perturbation, NDArray] | None = None, adjoint: bool = False,
    ) -> tuple[dict[str, NDArray], dict[Perturbation, NDArray]]:  # fmt: skip
        """What the receivers take of `nt` steps, and what is kept for `keep`.

        Parameters
        ----------
        inputs : mapping of str to array (nt, *shape)
            What comes in at the sources that have any.
        keep : perturbations
        scatter : mapping of perturbation to array (nt, *shape)
            What is added where each of them scatters, before its operations.
        adjoint : bool
            March from the last step to the first.
        """
        names = [f.name for f in self.scheme.fields]
        now = {k: np.zeros(self.shape) for k in names}
        behind = {k: np.zeros(self.shape) for k in names}
        outputs = {s.name: np.zeros((nt, *self.shape)) for s in self.scheme.steps if isinstance(s, Port)}
        sources = [s for s in self.scheme.steps if isinstance(s, Source) and s.name in inputs]
        kept = {p: np.zeros((nt, *self.shape)) for p in keep}
        for n in reversed(range(nt)) if adjoint else range(nt):
            rhs = {f.name: np.zeros(self.shape) for f in self.scheme.fields if f.second}
            now |= {s.input: inputs[s.name][n] for s in sources}
            for position, step in enumerate(self.scheme.steps):
                for p in keep:
                    if p.position == position and p.kept is not None:
                        kept[p][n] = sum(self.term(t, now.get(t.field, 0)) for t in p.kept)
                if isinstance(step, Stage):
                    total = sum((self.term(t, now[t.field]) for t in step.terms), np.zeros(self.shape))
                    if step.target in rhs:
                        rhs[step.target] += total
                    else:
                        before = self.coefficients[step.keep] * now[step.target] if step.keep else now[step.target]
                        now[step.target] = before + total
                elif isinstance(step, Source):
                    if step in sources:
                        into = rhs if step.field in rhs else now
                        into[step.field] = into[step.field] + self.operated(step.operations, now[step.input])
                else:
                    outputs[step.name][n] = self.operated(step.operations, now[step.field])
                if step.changes in now and step.changes not in rhs and self.vanishes(step.changes):
                    now[step.changes] = np.where(np.arange(self.shape[-1]) == 0, 0, now[step.changes])
                for p, values in (scatter or {}).items():
                    if p.position == position:
                        into = rhs if p.target in rhs else now
                        into[p.target] = into[p.target] + p.factor * self.operated(p.operations, values[n])
            for k, total in rhs.items():
                inertia = self.scheme.field(k).inertia
                scale = self.h**2 / self.coefficients[inertia] if inertia else 1
                ahead = 2 * now[k] - behind[k] + scale * total
                if self.vanishes(k):
                    ahead[..., 0] = 0
                for p in keep:
                    if p.target == k and p.kept is None:
                        kept[p][n] = (ahead - 2 * now[k] + behind[k]) / self.h**2
                now[k], behind[k] = ahead, now[k]
        return outputs, kept

    def vanishes(self, name: str) -> bool:
        """Whether a field is zero on the free surface."""
        field = self.mirrored.get(name)
        return field is not None and field.parity < 0 and field.stagger[-1] == 0

    def term(self, term: Term, x: NDArray) -> NDArray:
        """The value of a term of a field `x`."""
        field = self.mirrored.get(term.field)
        if field is None:
            return term.factor * self.operated(term.operations, x)
        # What lies above the surface is the mirror image; coefficients are nothing there, as beyond every edge.
        above = self.order
        image = x[..., above:0:-1] if field.stagger[-1] == 0 else x[..., above - 1 :: -1]
        mirrored = np.concatenate([field.parity * image, x], axis=-1)
        return term.factor * self.operated(term.operations, mirrored, above)[..., above:]

    def operated(self, operations: tuple[Operation, ...], x: NDArray, above: int = 0) -> NDArray:
        """`operations` of an array with so many nodes `above` the grid; it is zero beyond."""
        for o in reversed(operations):
            if isinstance(o, Difference):
                x = self.difference(o, x)
            else:
                x = np.pad(self.coefficients[o.coefficient], [(0, 0)] * (x.ndim - 1) + [(above, 0)]) * x
        return x

    def difference(self, o: Difference, x: NDArray) -> NDArray:
        """A difference of an array."""
        nodes, values = weights(o, self.order)
        x = np.moveaxis(x, o.axis, 0)
        n, result = len(x), np.zeros_like(x)
        for k, w in zip(nodes, values, strict=True):
            there, here = slice(max(k, 0), n + min(k, 0)), slice(max(-k, 0), n + min(-k, 0))
            result[here] += w * x[there]
        if o.ending:
            block = edge(o, self.order)
            result[: len(block)] += np.tensordot(block, x[: block.shape[1]], 1)
        return np.moveaxis(result, 0, o.axis) / self.spacing[o.axis] ** o.degree
