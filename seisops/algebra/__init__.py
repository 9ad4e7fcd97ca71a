"""Products, sums and adjoints of operators, and their derivatives."""

from seisops.algebra.calculus import Jacobian, asked, derivative
from seisops.algebra.card import html
from seisops.algebra.configured import Configured, configured
from seisops.algebra.fusion import fuse, no_fusion
from seisops.algebra.linearization import Linearization, linearize
from seisops.algebra.memory import memory
from seisops.algebra.nodes import Adjoint, Block, Chain, Node, Sum
from seisops.algebra.operator import Constant, SeismicOperator, ShotIndex, apply, check_finite, describe
from seisops.algebra.rules import blocks, compose, dependent, product
from seisops.algebra.tree import placed, selected, shotwise
from seisops.arrays import own

# An operator is the base of all that is made of it, and cannot import it: what makes them is given to it here.
SeismicOperator._product = staticmethod(product)
SeismicOperator._compose = staticmethod(compose)
SeismicOperator._sum = staticmethod(Sum)
SeismicOperator._derivative = staticmethod(derivative)
SeismicOperator._adjoint = lambda op: Adjoint(op)
SeismicOperator.jacobian = Jacobian
SeismicOperator.linearize = linearize
SeismicOperator.configured = configured
SeismicOperator.memory = memory
SeismicOperator._repr_html_ = html

__all__ = [
    "Adjoint",
    "Block",
    "Chain",
    "Configured",
    "Constant",
    "Jacobian",
    "Linearization",
    "Node",
    "SeismicOperator",
    "ShotIndex",
    "Sum",
    "apply",
    "asked",
    "blocks",
    "check_finite",
    "compose",
    "dependent",
    "derivative",
    "describe",
    "fuse",
    "no_fusion",
    "own",
    "placed",
    "product",
    "selected",
    "shotwise",
]
