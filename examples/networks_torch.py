"""Physics inside networks, in PyTorch: three layers of JUDI4Flux and a training step of each.

* a fully connected network around the Jacobian, W3 (J (W1 x + b1) + b2) + b3;
* convolution -> extended-source modelling -> its adjoint -> convolution, with gradients for the
  input, the model and every weight;
* modelling of a fixed source in a trainable earth.
"""

from __future__ import annotations

import numpy as np
import torch
from seisops_torch import Layer, VelocityModel
from torch import nn

import seisops as so
from seisops.scene import network_survey as operators


class AroundJacobian(nn.Module):
    """W3 (J (W1 x + b1) + b2) + b3: the Jacobian between dense layers."""

    def __init__(self, J) -> None:
        super().__init__()
        self.J = Layer(J)
        n, m = int(np.prod(J.dims)), int(np.prod(J.dimsd))
        self.before, self.after = nn.Linear(16, n), nn.Linear(m, 8)
        self.bias = nn.Parameter(torch.zeros(m))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dm = 0.01 * self.before(x).unflatten(-1, self.J.op.dims)
        return self.after(self.J(dm).flatten(-3) + self.bias)


class ExtendedSourceNetwork(nn.Module):
    """conv -> E -> E.H -> conv: model data from weights, and weights from data, between convolutions."""

    def __init__(self, E) -> None:
        super().__init__()
        self.modeling, self.adjoint = Layer(E), Layer(E.H)
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        # The two channels are the weights of the two shots.
        d = self.modeling(self.first(x), m=m)
        return self.last(1e-3 * self.adjoint(d, m=m))


def report(name: str, loss: torch.Tensor, tensors: dict[str, torch.Tensor]) -> None:
    """The loss and the size of every gradient."""
    loss.backward()
    print(f"{name}: loss {loss.item():.3e}")
    for key, t in tensors.items():
        print(f"    |d loss / d {key}| = {t.grad.norm().item():.3e}")


def main() -> None:
    torch.manual_seed(0)
    F, E, q, model = operators()
    m = torch.from_numpy(model.m.copy()).requires_grad_()

    network = AroundJacobian(so.Jacobian(F, q))
    x = torch.randn(3, 16, requires_grad=True)
    report("around the Jacobian", network(x).square().mean(), {"x": x, **dict(network.named_parameters())})

    network = ExtendedSourceNetwork(E)
    x = torch.randn(2, 1, *model.shape, requires_grad=True)
    report("extended source", network(x, m).square().mean(), {"x": x, "m": m, **dict(network.named_parameters())})

    earth, forward = VelocityModel(model, bounds=(1.4, 2.8)), Layer(F)
    source = torch.from_numpy(q.astype("float32"))
    observed = forward(source, m=m.detach() * 0.95)
    optimiser = torch.optim.Adam(earth.parameters(), lr=0.01)
    for step in range(4):
        optimiser.zero_grad()
        loss = (forward(source, m=earth()) - observed).square().sum()
        loss.backward()
        optimiser.step()
        print(f"fixed source, step {step}: misfit {loss.item():.4f}")


if __name__ == "__main__":
    main()
