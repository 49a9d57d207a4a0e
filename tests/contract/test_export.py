"""Contract 4, export: what runs without this library is recorded as plain torch, with the same numbers."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deepgen_fast as dgf
from contract.cases import CASES, SMALL, TYPICAL, Arguments, Case, Shape, convert
from contract.convolutions import CONVOLUTIONS, TYPICAL_CONVOLUTIONS

SOME = (*TYPICAL, *TYPICAL_CONVOLUTIONS)
EVERY = (*CASES, *CONVOLUTIONS)


class _Operator(nn.Module):
    """A case as a module of its tensors, in order."""

    def __init__(self, case: Case, inputs: Arguments) -> None:
        super().__init__()
        self.case, self.names = case, [name for name, value in inputs.items() if isinstance(value, Tensor)]
        self.others = {name: value for name, value in inputs.items() if name not in self.names}

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.case.run({**self.others, **dict(zip(self.names, tensors, strict=True))})


def _setting(case: Case, shape: Shape = SMALL[1]) -> tuple[_Operator, tuple[Tensor, ...]]:
    inputs = case.inputs(shape, torch.float32)
    module = _Operator(case, inputs)
    return module, tuple(inputs[name] for name in module.names)


def _assert_same(found: Any, expected: Any) -> None:
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def _is_plain(graph: torch.fx.Graph) -> bool:
    return "deepgen_fast" not in str([node.target for node in graph.nodes if node.op == "call_function"])


@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_torch_export(case: Case, strict: bool) -> None:
    module, tensors = _setting(case)
    program = torch.export.export(module, tensors, strict=strict)
    assert _is_plain(program.graph)
    _assert_same(program.module()(*tensors), module(*tensors))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("case", SOME, ids=str)
def test_jit_trace(case: Case) -> None:
    module, tensors = _setting(case)
    traced = torch.jit.trace(module, tensors, check_trace=False)
    assert "deepgen_fast::" not in str(traced.inlined_graph) and "PythonOp" not in str(traced.inlined_graph)
    _assert_same(traced(*tensors), module(*tensors))


def _symbolic(case: Case, inputs: Arguments) -> tuple[torch.fx.GraphModule, list[Tensor]]:
    """The public function as torch.fx records it, of its tensors in order."""
    names = [name for name, value in inputs.items() if isinstance(value, Tensor)]
    others = {name: value for name, value in inputs.items() if name not in names}
    signature = ", ".join(names)
    passed = ", ".join(f"{name}={name}" for name in names)
    function = eval(f"lambda {signature}: run({passed}, **others)", {"run": getattr(dgf, case.op), "others": others})
    return torch.fx.symbolic_trace(function), [inputs[name] for name in names]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_fx(case: Case, dtype: torch.dtype) -> None:
    """torch.fx.symbolic_trace of every option; one graph for every shape and dtype."""
    graph, _ = _symbolic(case, case.inputs(SMALL[0], torch.float32))
    assert _is_plain(graph.graph)
    inputs = case.inputs(SMALL[2], dtype)
    found = graph(*[value for value in inputs.values() if isinstance(value, Tensor)])
    expected = case.eager(convert(inputs, torch.float64))
    if isinstance(found, Tensor):
        found = (found,)
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 6e-2}[dtype]
    for one, two, own in zip(found, expected, case.run(inputs, "reference"), strict=True):
        assert one.dtype == own.dtype
        torch.testing.assert_close(one.double(), two, rtol=tolerance, atol=tolerance)


class _Sampler(nn.Module):
    """A small VAE whose forward draws noise, with a loss and a layer of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = dgf.nn.DiscriminatorBlock(3, 4)
        self.decoder = dgf.nn.GeneratorBlock(2, 3, activation="none", norm=False)
        self.closeness = dgf.nn.MinibatchDiscrimination(32, 3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        mean, logvar = self.encoder(x).chunk(2, 1)
        z, kl = dgf.reparameterize_kl(mean, 0.0 * logvar - 80.0)  # of next to no variance: the numbers are known
        logits = self.decoder(z)
        loss = dgf.negative_elbo(logits, x, mean, logvar)
        return logits, kl, loss, self.closeness(z.flatten(1)), dgf.gaussian_log_likelihood(logits, x)


def _sampler() -> tuple[_Sampler, Tensor]:
    return _Sampler().eval(), torch.rand(2, 3, 8, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False], ids=["torch.export", "TorchScript"])
def test_onnx(dynamo: bool) -> None:
    """torch.onnx.export of a model that draws noise: ONNX's own evaluator gets the same numbers."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from onnx.reference import ReferenceEvaluator

    model, x = _sampler()
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=dynamo, input_names=["x"])
    stored = onnx.load_from_string(file.getvalue())
    assert {node.op_type for node in stored.graph.node} & {"RandomNormal", "RandomNormalLike"}
    found = ReferenceEvaluator(stored).run(None, {"x": x.numpy()})
    for one, two in zip(found, model(x), strict=True):
        torch.testing.assert_close(torch.as_tensor(one), two.detach(), rtol=1e-4, atol=1e-4)


def test_recorded_noise_is_drawn_at_each_call() -> None:
    """Programs have a plain normal draw where the operator has its own, so a generator cannot be told."""
    mean = torch.zeros(1000)[None]
    program = torch.export.export(_Draw(None), (mean,)).module()
    first, second = program(mean), program(mean)
    assert first.shape == (2, 1, 1000) and not torch.equal(first, second)
    assert abs(first.mean()) < 0.15 and abs(first.std() - 1.0) < 0.1
    with pytest.raises(ValueError, match="generator must be None where a program is recorded"):
        torch.jit.trace(_Draw(torch.Generator()), (mean,))


class _Draw(nn.Module):
    def __init__(self, generator: torch.Generator | None) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mean: Tensor) -> Tensor:
        return dgf.reparameterize_kl(mean, mean, num_samples=2, generator=self.generator)[0]


def test_a_recorded_layer_is_trained_through_its_statistics() -> None:
    """Gradients of an exported training step go through batch norm's statistics."""
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 4, 4)

    class Layer(nn.Module):
        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            return dgf.conv_bn_act(x, weight, training=True)

    program, grads = torch.export.export(Layer(), (x, weight)).module(), []
    for run in (program, Layer()):
        leaf = weight.clone().requires_grad_()
        grads.append(torch.autograd.grad(run(x, leaf).pow(3).sum(), leaf)[0])
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
