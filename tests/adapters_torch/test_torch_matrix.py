"""Every transform and habit of PyTorch around a layer: each is right or raises."""

import itertools

import numpy as np
import pylops
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from seisops_torch import Layer, VelocityModel, apply
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset
from zoo import error, random, world

from seisops.bridge import registry

ROUNDING = 1e-12
W = world("2d")
LAYER = Layer(W.F)
Q, M = torch.from_numpy(W.q.copy()), torch.from_numpy(W.model.m.copy())
DM = torch.from_numpy(W.dm.copy())
J = W.F.jacobian(W.q)


def misfit(m, q=Q):
    return 0.5 * (LAYER(q, m=m) ** 2).sum()


GRADIENT = (J.H @ (W.F @ W.q)).reshape(M.shape)


@pytest.mark.row("torch.func and torch.compile", "`torch.func` grad, vjp", "exact")
def test_func_grad_and_vjp():
    assert error(torch.func.grad(misfit)(M), GRADIENT) <= ROUNDING
    y, pull = torch.func.vjp(lambda m: LAYER(Q, m=m), M)
    assert error(pull(y)[0], GRADIENT) <= ROUNDING


@pytest.mark.row("torch.func and torch.compile", "`torch.func.jvp`", "exact")
def test_func_jvp():
    assert error(torch.func.jvp(lambda m: LAYER(Q, m=m), (M,), (DM,))[1], J @ W.dm) <= ROUNDING


@pytest.mark.row(
    "torch.func and torch.compile",
    "forward over forward, `jacfwd(jacfwd(f))`",
    "raises: PyTorch itself loses the mixed terms",
)
def test_forward_over_forward_raises():
    inner = lambda m: torch.func.jvp(misfit, (m,), (DM,))[1]  # noqa: E731
    with pytest.raises(RuntimeError, match="forward over reverse"):
        torch.func.jvp(inner, (M,), (2 * DM,))
    with pytest.raises(RuntimeError, match="forward over reverse"):
        torch.func.jacfwd(torch.func.jacfwd(lambda a: misfit(M + a * DM)))(torch.zeros((), dtype=torch.float64))


@pytest.mark.row("torch.func and torch.compile", "`torch.func` jacrev, jacfwd", "exact")
def test_func_jacrev_and_jacfwd():
    directions = torch.stack([DM, 2 * DM])
    f = lambda a: LAYER(Q, m=M + torch.tensordot(a, directions, 1))[0, 0, :2]  # noqa: E731
    a = torch.zeros(2, dtype=torch.float64)
    expected = (J @ W.dm)[0, 0, :2][:, None] * np.array([1, 2])
    assert error(torch.func.jacrev(f)(a), expected) <= ROUNDING
    assert error(torch.func.jacfwd(f)(a), expected) <= ROUNDING


@pytest.mark.row(
    "torch.func and torch.compile",
    "Hessian in m: `torch.func.hessian`, `jacrev(jacrev(f))`",
    "exact, by Born-type solves",
)
def test_func_hessian_is_exact():
    directions = torch.stack([DM, torch.from_numpy(0.05 * W.model.m * random(W.model.m.shape, 8))])
    f = lambda a: misfit(M + torch.tensordot(a, directions, 1))  # noqa: E731
    a = torch.zeros(2, dtype=torch.float64)
    forward_over_reverse = torch.func.hessian(f)(a)
    assert error(torch.func.jacrev(torch.func.jacrev(f))(a), forward_over_reverse) <= ROUNDING
    r, d0 = W.F @ W.q, directions[0].numpy()
    exact = np.vdot(J @ d0, J @ d0) + np.vdot(r, J.jacobian(d0) @ d0)
    assert error(forward_over_reverse[0, 0], exact) <= ROUNDING


@pytest.mark.row("torch.func and torch.compile", "third order in m", "exact")
def test_third_order():
    f = lambda a: misfit(M + a * DM)  # noqa: E731
    third = torch.func.grad(torch.func.grad(torch.func.grad(f)))
    second = torch.func.grad(torch.func.grad(f))
    zero, h = torch.zeros((), dtype=torch.float64), 1e-4
    difference = (second(zero + h) - second(zero - h)) / (2 * h)
    # A central difference of step h leaves its square, about 1e-8, times the fifth derivative.
    assert error(third(zero), difference) <= 1e-6


@pytest.mark.row("torch.func and torch.compile", "`torch.func.vmap` over x, over m, nested, of grad", "exact")
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


@pytest.mark.row("torch.func and torch.compile", "`torch.compile(fullgraph=True)`, forward and backward", "exact")
def test_compile_fullgraph_forward_and_backward():
    compiled = torch.compile(lambda q, m: 0.5 * (LAYER(torch.sin(q), m=m) ** 2).sum(), fullgraph=True)
    gradients = []
    for f in (compiled, lambda q, m: 0.5 * (LAYER(torch.sin(q), m=m) ** 2).sum()):
        q, m = Q.clone().requires_grad_(), M.clone().requires_grad_()
        f(q, m).backward()
        gradients.append((q.grad, m.grad))
    for a, b in zip(*gradients, strict=True):
        assert error(a, b) <= ROUNDING


COMPILED = {
    "jvp": lambda m: torch.func.jvp(misfit, (m,), (DM,))[1],
    "grad": torch.func.grad(misfit),
    "hvp": lambda m: torch.func.jvp(torch.func.grad(misfit), (m,), (DM,))[1],
    "hessian": lambda m: torch.func.hessian(lambda a: misfit(m + a * DM))(torch.zeros((), dtype=m.dtype)),
    "vmap": lambda m: torch.func.vmap(lambda q: LAYER(q, m=m))(torch.stack([Q, 2 * Q])),
}


@pytest.mark.row(
    "torch.func and torch.compile",
    "`torch.func` jvp, grad, hessian, vmap inside `torch.compile(fullgraph=True)`",
    "exact",
)
# PyTorch lowers the Hessian's basis by a function that it finds deprecated itself.
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
@pytest.mark.parametrize("name", COMPILED)
def test_transforms_inside_a_compiled_function(name):
    f = COMPILED[name]
    assert error(torch.compile(f, fullgraph=True)(M), f(M)) <= ROUNDING


def test_forward_over_forward_raises_in_a_compiled_function_too():
    inner = lambda m: torch.func.jvp(misfit, (m,), (DM,))[1]  # noqa: E731
    with pytest.raises(RuntimeError, match="forward over reverse"):
        torch.compile(lambda m: torch.func.jvp(inner, (m,), (2 * DM,))[1])(M)


@pytest.mark.row("torch.func and torch.compile", "`torch.export`", "exact")
def test_export():
    assert error(torch.export.export(LAYER, (Q,)).module()(2 * Q), LAYER(2 * Q)) <= ROUNDING


@pytest.mark.row(
    "torch.func and torch.compile",
    "a program of `torch.export` or `make_fx` that another process loads",
    "raises: build the layer",
)
def test_a_saved_program_is_refused_in_another_process(tmp_path, monkeypatch):
    torch.export.save(torch.export.export(LAYER, (Q,)), tmp_path / "layer.pt2")
    torch.save(make_fx(LAYER)(Q), tmp_path / "layer.pt")
    programs = [
        torch.export.load(tmp_path / "layer.pt2").module(),
        torch.load(tmp_path / "layer.pt", weights_only=False),
    ]
    for program in programs:
        assert error(program(Q), LAYER(Q)) <= ROUNDING
    monkeypatch.setattr(registry, "PROCESS", "another")
    for program in programs:
        with pytest.raises(RuntimeError, match="build the layer here"):
            program(Q)


def test_a_layer_compiles_after_a_transform_of_another():
    torch.compile(COMPILED["jvp"])(M)
    layer = torch.compile(Layer(pylops.FirstDerivative(4)), fullgraph=True)
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [-0.5, -0.5, 0.5, 0.5]


@pytest.mark.row(
    "torch.func and torch.compile", "`torch.compile(fullgraph=True)` of PyLops' operators, real and complex", "exact"
)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_compile_operators_of_pylops(dtype):
    matrix = random((3, 4)) + (1j * random((3, 4), 1) if dtype == "complex128" else 0)
    op, x = pylops.MatrixMult(matrix, dtype=dtype), torch.from_numpy(random((2, 4))).to(getattr(torch, dtype))
    for layer in (Layer(op), Layer(pylops.FirstDerivative(4, dtype=dtype))):
        gradients = []
        for f in (layer, torch.compile(layer, fullgraph=True)):
            a = x.clone().requires_grad_()
            (f(a).abs() ** 2).sum().backward()
            gradients.append(a.grad.resolve_conj())
        assert (gradients[0] - gradients[1]).norm() <= ROUNDING * gradients[0].norm()


def test_compile_a_layer_whose_operator_is_replaced():
    layer, x = Layer(pylops.MatrixMult(random((3, 4)))), torch.from_numpy(random(4))
    f = torch.compile(layer, fullgraph=True)
    for matrix in random((3, 4), 1), random((5, 4)):
        layer.op = pylops.MatrixMult(matrix)
        for g in (layer, f):
            assert error(g(x), matrix @ x.numpy()) <= ROUNDING


@pytest.mark.row(
    "torch.func and torch.compile", "`torch.compile` beside graphs that other processes left on the disk", "exact"
)
def test_compile_where_another_process_has_compiled_an_operator_of_the_same_number(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    x = torch.from_numpy(random((2, 4)))
    for matrix in random((3, 4)), random((5, 4)):
        # What a new process has: no number given, nothing in memory.
        monkeypatch.setattr(registry, "_next", itertools.count(10**9))
        torch.compiler.reset()
        layer = Layer(pylops.MatrixMult(matrix))
        a = x.clone().requires_grad_()
        torch.compile(layer, fullgraph=True)(a).sum().backward()
        assert error(a.grad, np.tile(matrix.sum(0), (2, 1))) <= ROUNDING
        del layer


@pytest.mark.row("torch.func and torch.compile", "`apply` inside `torch.compile`", "exact, stays eager")
# PyTorch looks at what it resumes with, and remarks on it.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_function_inside_a_compiled_one():
    f = torch.compile(lambda q: apply(W.F, torch.sin(q)).sum())
    q = Q.clone().requires_grad_()
    f(q).backward()
    expected = (W.F.H @ np.ones(W.F.dimsd)) * np.cos(W.q)
    assert error(q.grad, expected) <= ROUNDING


@pytest.mark.row("Solves a shot", "backward of a compiled function, or under checkpoint", "2: the background once more")
@pytest.mark.parametrize("way", ["compile", "checkpoint"])
def test_solves_without_a_kept_wavefield(way, counted):
    f = torch.compile(misfit) if way == "compile" else lambda m: checkpoint(misfit, m, use_reentrant=False)
    f(M.clone().requires_grad_()).backward()
    losses = []
    m = M.clone().requires_grad_()
    assert counted(lambda: losses.append(f(m))) == 1
    assert counted(losses[0].backward) == 2


@pytest.mark.row("Around the layer", "`torch.utils.checkpoint`", "exact")
def test_checkpoint():
    m = M.clone().requires_grad_()
    checkpoint(misfit, m, use_reentrant=False).backward()
    assert error(m.grad, GRADIENT) <= ROUNDING


@pytest.mark.row("Values", "meta tensors", "shape without running")
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


@pytest.mark.row("Around the layer", "DataLoader workers (spawn)", "work")
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


@pytest.mark.row("Around the layer", "DistributedDataParallel, two gloo ranks", "mean gradient")
def test_two_ranks_of_distributed_data_parallel(tmp_path):
    mp.spawn(replica, (str(tmp_path), LAYER, W.model, Q, GRADIENT), nprocs=2)


@pytest.mark.row("Networks and inversion", "LBFGS, SGD", "descend")
@pytest.mark.parametrize("optimiser", [torch.optim.LBFGS, torch.optim.SGD])
def test_optimisers(optimiser):
    earth = VelocityModel(W.model, bounds=(1.2, 2.7))
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
