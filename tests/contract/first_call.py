"""Each public operator as the first thing that a process calls, compiled: ``python first_call.py BACKEND COMPILER``.

A process imports, compiles something else, and forks one child an operator; what a child finds is a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor

import deepgen_fast as dgf

torch.set_num_threads(1)  # a forked child has no threads of its parent's
BACKEND, COMPILER = sys.argv[1:]
PIXELS, CHANNELS = torch.rand(4, 3), torch.rand(5) + 0.5
WEIGHT, TRANSPOSED = torch.randn(5, 3, 4, 4), torch.randn(3, 5, 4, 4)
RUNNING = {"running_mean": CHANNELS, "running_var": CHANNELS, "training": False}


def _image(values: Tensor) -> Tensor:
    return values.view(1, 3, 2, 2).repeat(2, 1, 4, 4)


OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "reparameterize_kl": lambda v: sum(map(torch.sum, dgf.reparameterize_kl(v, v, backend=BACKEND))),
    "bernoulli_log_likelihood": lambda v: dgf.bernoulli_log_likelihood(v, PIXELS, backend=BACKEND),
    "gaussian_log_likelihood": lambda v: dgf.gaussian_log_likelihood(v, PIXELS, logvar=v, backend=BACKEND),
    "negative_elbo": lambda v: dgf.negative_elbo(v, PIXELS, v, v, backend=BACKEND),
    "minibatch_discrimination": lambda v: dgf.minibatch_discrimination(v.view(4, 3, 1), backend=BACKEND),
    "conv2d": lambda v: dgf.conv2d(_image(v), WEIGHT, backend=BACKEND),
    "conv_transpose2d": lambda v: dgf.conv_transpose2d(_image(v), TRANSPOSED, backend=BACKEND),
    "conv_bn_act": lambda v: dgf.conv_bn_act(_image(v), WEIGHT, training=True, backend=BACKEND),
    "conv_bn_act-running": lambda v: dgf.conv_bn_act(_image(v), WEIGHT, **RUNNING, backend=BACKEND),
    "conv_bn_act-activation": lambda v: dgf.conv_bn_act(
        _image(v), WEIGHT, training=True, normalize=False, activation="tanh", backend=BACKEND
    ),
    "conv_transpose_bn_act": lambda v: dgf.conv_transpose_bn_act(_image(v), TRANSPOSED, training=True, backend=BACKEND),
}


def _values(function: Callable[[Tensor], Tensor], gradient: bool) -> list[Tensor]:
    leaf = torch.linspace(-1.0, 1.0, 12).view(4, 3).requires_grad_(gradient)
    torch.manual_seed(5)
    total = function(leaf).square().sum()
    if not gradient:
        return [total]
    return [total.detach(), *torch.autograd.grad(total, leaf)]


def _check(function: Callable[[Tensor], Tensor]) -> str:
    compiled = torch.compile(function, backend=COMPILER, fullgraph=True)
    for gradient in (True, False):
        found = _values(compiled, gradient)
        for one, two in zip(found, _values(function, gradient), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    return "equal"


if __name__ == "__main__":
    torch.compile(lambda v: v + 1, backend=COMPILER)(torch.zeros(2))
    for name, function in OPERATORS.items():
        child = os.fork()
        if child == 0:
            try:
                result = _check(function)
            except Exception as error:
                result = f"{type(error).__name__}: {error}"
            print(json.dumps({name: result}), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
