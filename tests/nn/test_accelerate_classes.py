"""What accelerate changes and what not: classes, parametrizations, subclasses, what is left alone, restore."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from accelerate_models import MODELS, NamedBlock, assert_same, block, build, counted_operators
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from deepgen_fast.nn.accelerate import accelerate, restore
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.nn.accelerate.interface import unsupported_reason


def _state(model: nn.Module) -> list:
    return [(name, type(module), set(vars(module)), repr(module)) for name, module in model.named_modules()]


def _accelerated(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, Accelerated)]


@pytest.mark.parametrize("name", MODELS)
def test_restore_undoes_everything_and_nothing_else_changed(name: str) -> None:
    model, _, x = build(name)
    before, keys, shown = _state(model), list(model.state_dict()), repr(model)
    identities = [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    accelerate(model)
    assert _accelerated(model)
    assert repr(model) == shown and list(model.state_dict()) == keys
    assert [id(tensor) for tensor in (*model.parameters(), *model.buffers())] == identities
    once = [type(module) for module in model.modules()]
    accelerate(model)
    assert [type(module) for module in model.modules()] == once
    model(x)
    assert restore(model) is model
    assert _state(model) == before
    assert _state(restore(model)) == before


def test_checks_of_type_by_instance_and_by_name_hold() -> None:
    model = accelerate(nn.Sequential(nn.Conv2d(3, 4, 4), nn.ConvTranspose2d(4, 3, 4)))
    for layer, cls in ((model, nn.Sequential), (model[0], nn.Conv2d), (model[1], nn.ConvTranspose2d)):
        assert isinstance(layer, cls)
        assert type(layer).__name__ == cls.__name__ and type(layer).__module__ == cls.__module__
        assert layer._get_name() == cls.__name__


def test_state_dicts_interchange() -> None:
    model, plain, x = build("generator")
    accelerate(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    assert not plain.load_state_dict(model.state_dict()).missing_keys
    assert_same(model.eval()(x), plain.eval()(x))
    restored = accelerate(copy.deepcopy(plain))
    restored.load_state_dict(plain.state_dict())
    assert_same(restored(x), plain(x))


def test_arguments_that_are_not_modules() -> None:
    for call in (accelerate, restore):
        with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got int"):
            call(3)


# ---- subclasses ----


class OwnForward(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


class OwnIteration(nn.Sequential):
    def __iter__(self):
        return reversed(self._modules.values())


class Initialized(nn.Conv2d):
    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, 0.1)
        nn.init.zeros_(self.bias)


class Standardized(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class OwnConvForward(nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, 2 * weight, bias)


class OwnCall(nn.Conv2d):
    def __call__(self, x):
        return super().__call__(x) * 3


class OwnBatchNorm(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) + 5


class OwnReLU(nn.ReLU):
    def forward(self, x):
        return super().forward(x) + 7


def test_subclasses_that_only_construct_are_accelerated() -> None:
    model = NamedBlock(3, 4)
    model.append(Initialized(4, 4, 3, 1, 1))
    plain = copy.deepcopy(model)
    accelerate(model)
    assert isinstance(model, NamedBlock) and type(model).__name__ == "NamedBlock" and model.outputs == 4
    with counted_operators() as calls:
        assert_same(model(torch.ones(2, 3, 8, 8)), plain(torch.ones(2, 3, 8, 8)))
    assert calls == ["conv_bn_act", "conv2d"]
    assert [type(module) for module in restore(model).modules()] == [type(module) for module in plain.modules()]


@pytest.mark.parametrize(
    ("layer", "calls"),
    [
        (OwnForward(nn.Conv2d(3, 4, 4, 2, 1), nn.ReLU()), ["conv2d"]),
        (OwnIteration(nn.Conv2d(3, 3, 3, 1, 1), nn.BatchNorm2d(3)), ["conv2d"]),
        (Standardized(3, 4, 3, 1, 1), []),
        (OwnConvForward(3, 4, 3, 1, 1), []),
        (OwnCall(3, 4, 3, 1, 1), []),
        (nn.Conv2d(3, 6, 3, 1, 1, groups=3), []),
        (nn.Conv2d(3, 4, 3, 1, 2, dilation=2), []),
        (nn.Conv2d(3, 4, 3, 1, 1, padding_mode="reflect"), []),
        (nn.Conv2d(3, 4, 4, 1, "same"), []),
        (nn.Conv2d(3, 4, (3, 5), 1, "same"), ["conv2d"]),
        (nn.Conv2d(3, 4, 3, 2, "valid"), ["conv2d"]),
        (nn.Conv2d(3, 4, (3, 1), (2, 1), (1, 0)), ["conv2d"]),
        (nn.ConvTranspose2d(3, 4, (3, 4), (2, 3), (1, 0), (1, 2)), ["conv_transpose2d"]),
        (nn.ConvTranspose2d(3, 3, 3, groups=3), []),
        (nn.ConvTranspose2d(3, 3, 3, dilation=2), []),
    ],
    ids=lambda value: repr(value).split("(")[0] if isinstance(value, nn.Module) else "",
)
def test_layers_that_are_other_layers_or_geometries(layer: nn.Module, calls: list[str]) -> None:
    plain = copy.deepcopy(layer)
    x = torch.randn(2, 3, 8, 8)
    accelerate(layer)
    with counted_operators() as counted:
        assert_same(layer.eval()(x), plain.eval()(x))
    assert counted == calls
    if not calls:
        assert not isinstance(layer, Accelerated) and unsupported_reason(layer)


def test_batch_norms_and_activations_of_their_own_are_called() -> None:
    for rest, name in (
        ((OwnBatchNorm(4), nn.ReLU()), "conv2d"),
        ((nn.BatchNorm2d(4), OwnReLU()), "conv_bn_act"),
        ((nn.InstanceNorm2d(4), nn.ReLU()), "conv2d"),
        ((nn.GroupNorm(2, 4), nn.ReLU()), "conv2d"),
        ((nn.SyncBatchNorm(4), nn.ReLU()), "conv2d"),
        ((nn.BatchNorm2d(4), nn.ELU()), "conv_bn_act"),
        ((nn.Identity(), nn.ReLU()), "conv2d"),
    ):
        model = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), *rest).eval()
        plain = copy.deepcopy(model)
        x = torch.randn(2, 3, 8, 8)
        with counted_operators() as calls:
            assert_same(accelerate(model)(x), plain(x))
        assert calls == [name], rest


def test_sync_batch_norm_converts_an_accelerated_model() -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(accelerate(block()).eval())
    assert isinstance(model[1], nn.SyncBatchNorm)
    with counted_operators() as calls:
        model(torch.randn(2, 3, 8, 8))
    assert calls == ["conv2d"]


# ---- parametrizations, weight tying, lazy layers ----


@pytest.mark.parametrize("order", ["parametrized before", "parametrized after"])
def test_spectral_norm(order: str) -> None:
    """SNGAN's discriminators: the parametrization changes the class of the module too."""
    model = block()
    plain = copy.deepcopy(model)
    if order == "parametrized after":
        accelerate(model)
    torch.manual_seed(2)
    parametrizations.spectral_norm(model[0])
    torch.manual_seed(2)
    parametrizations.spectral_norm(plain[0])
    if order == "parametrized before":
        accelerate(model)
    x = torch.randn(2, 3, 8, 8)
    with counted_operators() as calls:
        assert_same(model(x), plain(x))
    assert calls == ["conv_bn_act"]
    with counted_operators() as calls:
        assert_same(model[0](x), plain[0](x))
    assert calls == ["conv2d"]
    model(x).square().sum().backward(), plain(x).square().sum().backward()
    for name, value in plain.state_dict().items():  # one step of the power iteration a call, here as there
        assert_same(model.state_dict()[name].float(), value.float(), name)
    assert_same(model[0].parametrizations.weight.original.grad, plain[0].parametrizations.weight.original.grad)

    copied = copy.deepcopy(model)
    for m in (model, copied):
        restore(m)
        assert type(m[0]).__name__ == "ParametrizedConv2d" and type(m[0]).__bases__ == (nn.Conv2d,)
        assert_same(copy.deepcopy(m).eval()(x), m.eval()(x))
        accelerate(m)
        with pytest.raises(RuntimeError, match="parametrized"):
            pickle.dumps(m)
        parametrize.remove_parametrizations(m[0], "weight")
        assert isinstance(m[0], Accelerated) and type(restore(m)[0]) is nn.Conv2d


def test_spectral_norm_and_pruning_by_hooks() -> None:
    from torch.nn.utils import prune, spectral_norm

    models = []
    for _ in range(2):  # what the hooks made cannot be copied
        torch.manual_seed(5)
        models.append(block())
        spectral_norm(models[-1][0])
        prune.l1_unstructured(models[-1][0], "bias", 0.5)
    model, plain = accelerate(models[0]), models[1]
    x = torch.randn(2, 3, 8, 8)
    with counted_operators() as calls:
        assert_same(model(x), plain(x))
    assert calls == ["conv2d"]  # the hook computes the weight: the convolution is called, and batch norm after it


def test_tied_weights_and_shared_layers() -> None:
    first, second = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1)
    second.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), first)
    plain = copy.deepcopy(model)
    accelerate(model)
    x = torch.randn(2, 4, 8, 8)
    output = model(x)
    assert_same(output, plain(x))
    output.sum().backward(), plain(x).sum().backward()
    assert_same(model[2].weight.grad, plain[0].weight.grad)
    assert model[0] is model[4] and model[2].weight is model[0].weight


def test_lazy_layers_wait_for_their_first_batch() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 4, 2, 1), nn.LazyBatchNorm2d(), nn.ReLU())
    accelerate(model)
    assert "lazy" in unsupported_reason(model[0])
    x = torch.randn(2, 3, 8, 8)
    model(x)
    assert type(model[0]) is nn.Conv2d
    accelerate(model)
    with counted_operators() as calls:
        assert_same(model.eval()(x), restore(copy.deepcopy(model))(x))
    assert calls == ["conv_bn_act"]


# ---- other people's modules ----


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_and_quantized_modules_are_left_alone() -> None:
    scripted = torch.jit.script(block().eval())
    qat = torch.ao.nn.intrinsic.ConvBnReLU2d(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU())
    model = nn.Sequential(scripted, qat).eval()
    before = [type(module) for module in model.modules()]
    accelerate(model)
    assert [type(module) for module in model.modules()][1:] == before[1:]
    assert "TorchScript" in unsupported_reason(scripted) and "quantized" in unsupported_reason(qat)
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 4, 4, 4)


def test_a_part_restored_is_plain_and_the_rest_is_not() -> None:
    model, plain, x = build("generator")
    accelerate(model)
    restore(model.main[3])
    assert type(model.main[3]) is nn.ConvTranspose2d
    with counted_operators() as calls:
        assert_same(model(x), plain(x))
    assert calls == ["conv_transpose_bn_act"] * 3


class QuietTensor(torch.Tensor):
    """A tensor subclass, as quantized and distributed tensors are."""


def test_tensor_subclasses_go_the_plain_way() -> None:
    model = accelerate(block())
    with counted_operators() as calls:
        output = model(torch.randn(2, 3, 8, 8).as_subclass(QuietTensor))
        model[0].weight = nn.Parameter(model[0].weight.detach().as_subclass(QuietTensor))
        model(torch.randn(2, 3, 8, 8))
    assert isinstance(output, QuietTensor) and calls == []
