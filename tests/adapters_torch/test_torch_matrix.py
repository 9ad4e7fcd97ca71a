"""Every transform and habit of PyTorch around a layer: each is right or raises."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from seisops_torch import Layer, VelocityModel
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset
from zoo import error, random, world

ROUNDING = 1e-12
W = world("2d")
LAYER = Layer(W.F)
Q, M = torch.from_numpy(W.q.copy()), torch.from_numpy(W.model.m.copy())
DM = torch.from_numpy(W.dm.copy())
J = W.F.jacobian(W.q)


def misfit(m, q=Q):
    return 0.5 * (LAYER(q, m=m) ** 2).sum()


GRADIENT = (J.H @ (W.F @ W.q)).reshape(M.shape)


def test_func_grad_and_vjp():
    assert error(torch.func.grad(misfit)(M), GRADIENT) <= ROUNDING
    y, pull = torch.func.vjp(lambda m: LAYER(Q, m=m), M)
    assert error(pull(y)[0], GRADIENT) <= ROUNDING


def test_func_jvp():
    assert error(torch.func.jvp(lambda m: LAYER(Q, m=m), (M,), (DM,))[1], J @ W.dm) <= ROUNDING


def test_forward_over_forward_raises():
    inner = lambda m: torch.func.jvp(misfit, (m,), (DM,))[1]  # noqa: E731
    with pytest.raises(RuntimeError, match="forward over reverse"):
        torch.func.jvp(inner, (M,), (2 * DM,))
    with pytest.raises(RuntimeError, match="forward over reverse"):
        torch.func.jacfwd(torch.func.jacfwd(lambda a: misfit(M + a * DM)))(torch.zeros((), dtype=torch.float64))


def test_func_jacrev_and_jacfwd():
    directions = torch.stack([DM, 2 * DM])
    f = lambda a: LAYER(Q, m=M + torch.tensordot(a, directions, 1))[0, 0, :2]  # noqa: E731
    a = torch.zeros(2, dtype=torch.float64)
    expected = (J @ W.dm)[0, 0, :2][:, None] * np.array([1, 2])
    assert error(torch.func.jacrev(f)(a), expected) <= ROUNDING
    assert error(torch.func.jacfwd(f)(a), expected) <= ROUNDING


def test_func_hessian_is_exact():
    directions = torch.stack([DM, torch.from_numpy(0.05 * W.model.m * random(W.model.m.shape, 8))])
    f = lambda a: misfit(M + torch.tensordot(a, directions, 1))  # noqa: E731
    a = torch.zeros(2, dtype=torch.float64)
    forward_over_reverse = torch.func.hessian(f)(a)
    assert error(torch.func.jacrev(torch.func.jacrev(f))(a), forward_over_reverse) <= ROUNDING
    r, d0 = W.F @ W.q, directions[0].numpy()
    exact = np.vdot(J @ d0, J @ d0) + np.vdot(r, J.jacobian(d0) @ d0)
    assert error(forward_over_reverse[0, 0], exact) <= ROUNDING


def test_third_order():
    f = lambda a: misfit(M + a * DM)  # noqa: E731
    third = torch.func.grad(torch.func.grad(torch.func.grad(f)))
    second = torch.func.grad(torch.func.grad(f))
    zero, h = torch.zeros((), dtype=torch.float64), 1e-4
    difference = (second(zero + h) - second(zero - h)) / (2 * h)
    # A central difference of step h leaves its square, about 1e-8, times the fifth derivative.
    assert error(third(zero), difference) <= 1e-6


def test_vmap_over_either_and_nested():
    batch = torch.stack([Q, 2 * Q])
    expected = torch.stack([LAYER(q) for q in batch])
    assert error(torch.func.vmap(LAYER)(batch), expected) <= ROUNDING
    models = torch.stack([M, 0.99 * M])
    ys = torch.func.vmap(lambda m: LAYER(Q, m=m))(models)
    assert error(ys, torch.stack([LAYER(Q, m=m) for m in models])) <= ROUNDING
    nested = torch.func.vmap(lambda m: torch.func.vmap(lambda q: LAYER(q, m=m))(batch))(models)
    assert error(nested[1, 1], LAYER(2 * Q, m=0.99 * M)) <= ROUNDING
    per_sample = torch.func.vmap(torch.func.grad(misfit), in_dims=(None, 0))(M, batch)
    assert error(per_sample, np.stack([GRADIENT, 4 * GRADIENT])) <= ROUNDING


def test_compile_fullgraph_forward_and_backward():
    compiled = torch.compile(lambda q, m: 0.5 * (LAYER(torch.sin(q), m=m) ** 2).sum(), fullgraph=True)
    gradients = []
    for f in (compiled, lambda q, m: 0.5 * (LAYER(torch.sin(q), m=m) ** 2).sum()):
        q, m = Q.clone().requires_grad_(), M.clone().requires_grad_()
        f(q, m).backward()
        gradients.append((q.grad, m.grad))
    for a, b in zip(*gradients, strict=True):
        assert error(a, b) <= ROUNDING


def test_compiled_jvp_is_right_or_raises():
    f = lambda m: torch.func.jvp(lambda n: LAYER(Q, m=n), (m,), (DM,))[1]  # noqa: E731
    try:
        tangent = torch.compile(f)(M)
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException):
        return
    assert error(tangent, J @ W.dm) <= ROUNDING


def test_checkpoint():
    m = M.clone().requires_grad_()
    checkpoint(misfit, m, use_reentrant=False).backward()
    assert error(m.grad, GRADIENT) <= ROUNDING


def test_meta_tensors_have_the_shape():
    assert LAYER(Q.to("meta")).shape == LAYER.op.dimsd


class Shots(Dataset):
    """Modelled in the worker that serves them."""

    def __init__(self, layer, q):
        self.layer, self.q = layer, q

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.layer((i + 1) * self.q)


def test_dataloader_workers():
    loader = DataLoader(Shots(LAYER, Q), batch_size=2, num_workers=1, multiprocessing_context="spawn")
    (batch,) = list(loader)
    assert error(batch, torch.stack([LAYER(Q), LAYER(2 * Q)])) <= ROUNDING


def replica(rank: int, folder: str, layer, model, q, gradient) -> None:
    """One of two ranks, each with its own shot record."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    earth = VelocityModel(model)
    parallel = DistributedDataParallel(earth)
    (0.5 * (layer((rank + 1) * q, m=parallel()) ** 2).sum()).backward()
    # The ranks part together: one that tears its connections down early leaves the other waiting for it.
    dist.barrier()
    del parallel
    dist.destroy_process_group()
    # The mean over ranks of 1 and 4 times the gradient.
    expected = 2.5 * gradient * -2 * earth.v.detach().numpy() ** -3
    assert np.linalg.norm(earth.v.grad.numpy() - expected) <= ROUNDING * np.linalg.norm(expected)


def test_two_ranks_of_distributed_data_parallel(tmp_path):
    mp.spawn(replica, (str(tmp_path), LAYER, W.model, Q, GRADIENT), nprocs=2)


@pytest.mark.parametrize("optimiser", [torch.optim.LBFGS, torch.optim.SGD])
def test_optimisers(optimiser):
    earth = VelocityModel(W.model, bounds=(1.2, 3.0))
    d = LAYER(Q, m=1.02 * M)
    steps = optimiser(earth.parameters(), lr=1e-6)

    def closure():
        steps.zero_grad()
        loss = ((LAYER(Q, m=earth()) - d) ** 2).sum()
        loss.backward()
        return loss

    first = closure().item()
    for _ in range(2):
        steps.step(closure)
    assert closure().item() < first
