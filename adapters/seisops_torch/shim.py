"""The questions that PyTorch answers under private names only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _len_torch_dispatch_stack


def forward_levels() -> int:
    """How many levels of forward mode are around this call."""
    stack = _functorch.get_interpreter_stack()
    return sum([level.key() == _functorch.TransformType.Jvp for level in stack]) if stack else 0


def recorded(tensors: Sequence[Tensor | None]) -> bool:
    """Whether somebody differentiates plain tensors, in either direction."""
    if forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and any([t.requires_grad for t in tensors if t is not None])


def plain(tensors: Sequence[Tensor | None]) -> bool:
    """Whether all of them hold values, and nobody records or compiles what is done to them."""
    return (
        _len_torch_dispatch_stack() == 0
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not _functorch.get_interpreter_stack()
        and all(map(_holds_values, tensors))
    )


def _holds_values(t: Tensor | None) -> bool:
    return t is None or (type(t) in (Tensor, nn.Parameter) and not t.is_meta and _keys(t) == _plain_keys(t.device.type))


def _keys(t: Tensor) -> int:
    return torch._C._dispatch_keys(t).raw_repr()


@cache
def _plain_keys(device: str) -> int:
    """What a tensor shows that is no batch of a vmap, no lazy conjugate and nothing else in disguise."""
    with torch.inference_mode(False):
        return _keys(torch.zeros((), device=device))
