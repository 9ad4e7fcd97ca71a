"""Which fields of a scheme are in memory: those that are worth it, and those that ports stand at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from seisops.physics.scheme import Scheme
from seisops.physics.steps import Port, Receiver, Source, Stage
from seisops.physics.terms import ZERO, Difference, Term, Times


def inlined(
    scheme: Scheme,
    sources: Collection[str],
    receivers: Collection[str],
    kept: Collection[str] = (),
    *,
    adjoint: bool = False,
) -> Scheme:
    """`scheme` with these ports alone, and without the fields that only pass on what they are made of.

    One stays where differences are taken of it and it takes something to compute, which would else be done for each of
    their nodes.

    Parameters
    ----------
    scheme : Scheme
    sources, receivers : collection of str
        The ports that are met.
    kept : collection of str
        Fields that stay: those that a free surface mirrors.
    adjoint : bool
        Whether it is the transpose that will be marched, where fields pass on the other way.
    """
    met = {Source: sources, Receiver: receivers}
    steps = [s for s in scheme.steps if not isinstance(s, Port) or s.name in met[type(s)]]
    for field in scheme.fields:
        found = _Passing.of(field.name, steps, scheme.second)
        if found and field.name not in kept and not field.stored and not found.worth(adjoint):
            steps = found.without()
    used = {name for s in steps for name in (s.changes, *s.reads)}
    return Scheme(tuple(f for f in scheme.fields if f.name in used), tuple(steps))


class _Passing:
    """A field that is made by one stage and passes on what that says."""

    def __init__(self, name: str, steps: list, made: Stage) -> None:
        self.name, self.steps, self.made = name, steps, made
        self.given = [(s, t) for s in steps if isinstance(s, Stage) for t in s.terms if t.field == name]
        self.ports = [s for s in steps if isinstance(s, Port) and s.field == name]

    @classmethod
    def of(cls, name: str, steps: list, second: set[str]) -> _Passing | None:
        """The field of a name, where that is all it does."""
        about = [i for i, s in enumerate(steps) if name in (s.changes, *s.reads)]
        made = steps[about[0]] if about else None
        changes = sum(isinstance(steps[i], Stage) and steps[i].target == name for i in about)
        if changes != 1 or not isinstance(made, Stage) or made.target != name or made.keep != ZERO:
            return None
        # Until it is taken, what it is made of stays.
        meanwhile = {s.changes for s in steps[about[0] : about[-1]]} - second
        return None if meanwhile & made.reads else cls(name, steps, made)

    def worth(self, adjoint: bool) -> bool:
        """Whether it is computed once for several nodes, if it stays."""
        given = [t for _, t in self.given]
        before, after = (given, self.made.terms) if adjoint else (self.made.terms, given)
        return any(t.operations for t in before) and any(isinstance(o, Difference) for t in after for o in t.operations)

    def without(self) -> list:
        """The steps with what it is made of in its place, and its ports where it is passed on to; all, if they stay."""
        if any(isinstance(p, Receiver) for p in self.ports):
            beside = self.made.terms
        else:
            beside = tuple(t for _, t in self.given)
        alike = len({type(p) for p in self.ports}) == 1 and len(beside) == 1 and _pointwise(beside[0])
        if self.ports and not alike:
            return self.steps
        result = []
        for step in self.steps:
            if step is self.made or (step in self.ports and isinstance(step, Source)):
                continue
            result.append(self._read(step) if isinstance(step, Receiver) else self._filled(step))
            if self.given and step is self.given[0][0]:
                result += [self._given(s) for s in self.ports if isinstance(s, Source)]
        return result

    def _read(self, port: Receiver) -> Receiver:
        if port not in self.ports:
            return port
        (term,) = self.made.terms
        return replace(port, field=term.field, operations=(*port.operations, *term.operations))

    def _given(self, port: Source) -> Source:
        ((stage, term),) = self.given
        return replace(port, field=stage.target, operations=(*term.operations, *port.operations))

    def _filled(self, step):
        if not isinstance(step, Stage):
            return step
        terms: list[Term] = []
        for t in step.terms:
            inner = self.made.terms if t.field == self.name else (None,)
            terms += [
                t if i is None else Term(i.field, (*t.operations, *i.operations), t.factor * i.factor) for i in inner
            ]
        return replace(step, terms=tuple(terms))


def _pointwise(term: Term) -> bool:
    return term.factor == 1 and all(isinstance(o, Times) for o in term.operations)
