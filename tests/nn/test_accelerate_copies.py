"""Copies, pickles, and what other tools make of an accelerated model."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate_models import Generator, NamedBlock, assert_same, block, build, counted_operators
from torch import nn

from deepgen_fast.nn.accelerate import accelerate, restore
from deepgen_fast.nn.accelerate.classes import Accelerated


def test_deepcopy_is_accelerated_and_apart() -> None:
    model, plain, z = build("generator")
    average = copy.deepcopy(accelerate(model))
    assert [type(m) for m in average.modules()] == [type(m) for m in model.modules()]
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(0.5)
    assert_same(model(z), plain(z))
    tied = nn.Sequential(first := nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU(), first)
    copied = copy.deepcopy(accelerate(tied))
    assert copied[0] is copied[2] and copied[0] is not first


def test_shallow_copy_shares_parameters() -> None:
    model = accelerate(block())
    copied = copy.copy(model)
    assert type(copied) is type(model) and copied[0] is model[0]
    layer = copy.copy(model[0])
    layer.bias = None
    assert layer.weight is model[0].weight


def test_a_subclass_that_copies_itself() -> None:
    class Remembering(nn.Conv2d):
        def __deepcopy__(self, memo: dict) -> nn.Module:
            replica = Remembering(3, 4, 3)
            replica.load_state_dict(self.state_dict())
            replica.copied = True
            memo[id(self)] = replica
            return replica

    assert copy.deepcopy(accelerate(Remembering(3, 4, 3))).copied


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_the_plain_model(protocol: int) -> None:
    model, plain, z = build("generator")
    data = pickle.dumps(accelerate(model), protocol)
    assert b"deepgen_fast" not in data
    loaded = pickle.loads(data)
    assert [type(m) for m in loaded.modules()] == [type(m) for m in plain.modules()]
    assert_same(accelerate(loaded)(z), plain(z))
    assert isinstance(model.main, Accelerated)


def test_a_subclass_pickles_as_itself() -> None:
    model = accelerate(NamedBlock(3, 4))
    loaded = pickle.loads(pickle.dumps(model))
    assert type(loaded) is NamedBlock and loaded.outputs == 4
    assert_same(loaded.eval()(torch.ones(2, 3, 8, 8)), model.eval()(torch.ones(2, 3, 8, 8)))


_LOADS = """
import sys
sys.modules["deepgen_fast"] = None  # not installed here
import torch
model = torch.load(sys.argv[1], weights_only=False)
print(type(model), type(model[0]))
torch.save(model.eval()(torch.ones(2, 3, 8, 8)), sys.argv[2])
"""


def test_a_saved_model_loads_where_the_library_is_not_installed(tmp_path: Path) -> None:
    model = accelerate(block())
    torch.save(model, tmp_path / "model.pt")
    torch.save(model.state_dict(), tmp_path / "state.pt")
    command = [sys.executable, "-c", _LOADS, str(tmp_path / "model.pt"), str(tmp_path / "output.pt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "torch.nn.modules.container.Sequential" in done.stdout
    expected = model.eval()(torch.ones(2, 3, 8, 8))
    assert_same(torch.load(tmp_path / "output.pt"), expected)
    other = accelerate(block()).eval()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_same(other(torch.ones(2, 3, 8, 8)), expected)


def test_moves_of_dtype_and_memory_format() -> None:
    model, plain, x = build("unet")
    accelerate(model)
    for move in ({"dtype": torch.float64}, {"dtype": torch.float32}, {"memory_format": torch.channels_last}):
        model, plain = model.to(**move), plain.to(**move)
        value = x.to(next(plain.parameters()).dtype)
        assert_same(model(value), plain(value))


def test_data_parallel_replicas_use_their_own_parameters() -> None:
    """``nn.DataParallel`` copies a module's attributes and class, and gives the copy other parameters."""
    model = accelerate(block()).eval()
    replicas = {m: m._replicate_for_data_parallel() for m in model.modules()}
    for original, replica in replicas.items():
        replica._modules = {name: replicas[child] for name, child in original._modules.items()}
        for name, parameter in original._parameters.items():
            setattr(replica, name, None if parameter is None else parameter.detach() * 0.5)
    x = torch.randn(2, 3, 8, 8)
    expected = restore(copy.deepcopy(model))
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter.mul_(0.5)
    assert_same(replicas[model](x), expected(x))


def test_functional_call_and_vmap_over_an_ensemble() -> None:
    models = [block().eval() for _ in range(3)]
    x = torch.randn(2, 3, 8, 8)
    expected = torch.stack([m(x) for m in models])
    parameters, buffers = torch.func.stack_module_state(models)
    base = accelerate(copy.deepcopy(models[0]))

    def call(parameters: dict, buffers: dict, x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(base, (parameters, buffers), (x,))

    with counted_operators() as calls:
        assert_same(torch.vmap(call, (0, 0, None))(parameters, buffers, x), expected)
    assert calls == ["conv_bn_act"]
    images = torch.randn(3, 2, 3, 8, 8)
    one = (dict(base.named_parameters()), dict(base.named_buffers()))
    assert_same(torch.vmap(lambda image: call(*one, image))(images), torch.stack([models[0](i) for i in images]))


def test_gradients_of_every_example_by_func() -> None:
    model, plain, x = build("discriminator")
    accelerate(model).eval(), plain.eval()
    results = []
    for m in (model, plain):
        state = {name: tensor.detach() for name, tensor in m.named_parameters()}

        def loss(state: dict, image: torch.Tensor, m: nn.Module = m) -> torch.Tensor:
            return torch.func.functional_call(m, state, (image[None],)).sum()

        results.append(torch.vmap(torch.func.grad(loss), (None, 0))(state, x))
    for name, value in results[1].items():
        assert_same(results[0][name], value, name)


def test_checkpointing() -> None:
    from torch.utils.checkpoint import checkpoint, checkpoint_sequential

    model, plain, x = build("discriminator")
    accelerate(model)
    inputs = [x.clone().requires_grad_() for _ in range(3)]
    checkpoint(model, inputs[0], use_reentrant=False).sum().backward()
    plain(inputs[1]).sum().backward()
    assert_same(inputs[0].grad, inputs[1].grad)
    checkpoint_sequential(accelerate(copy.deepcopy(plain)).main, 2, inputs[2], use_reentrant=False).sum().backward()
    assert_same(inputs[2].grad, inputs[1].grad)


# ---- what records or watches a model gets the plain layers ----


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torchscript() -> None:
    model, plain, z = build("generator")
    accelerate(model).eval(), plain.eval()
    traced = torch.jit.trace(model, z)
    assert "deepgen_fast" not in str(traced.inlined_graph)
    assert_same(traced(z), plain(z))
    assert isinstance(model.main, Accelerated)
    scripted = torch.jit.script(model)
    assert_same(scripted(z), plain(z))
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    assert not isinstance(model.main, Accelerated)  # torch.jit.script restores what it is given
    assert_same(model(z), plain(z))


def test_fx_traces_the_layers() -> None:
    model, plain, z = build("generator")
    accelerate(model).eval(), plain.eval()
    graph = torch.fx.symbolic_trace(model)
    assert graph.code == torch.fx.symbolic_trace(plain).code
    with counted_operators() as calls:
        assert_same(graph(z), plain(z))
    assert calls == ["conv_transpose2d"] * 4


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
def test_export_has_no_operator_of_the_library(strict: bool) -> None:
    model = accelerate(Generator()).eval()
    z = torch.randn(2, 6, 1, 1)
    program = torch.export.export(model, (z,), strict=strict)
    assert not [node for node in program.graph.nodes if "deepgen_fast" in str(node.target)]
    assert_same(program.module()(z), model(z))


def test_flops_are_counted() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, plain, x = build("discriminator")
    counts = []
    for m in (accelerate(model), plain):
        with FlopCounterMode(display=False) as counter:
            m(x)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
