"""Models of other people's packages, trained a few steps accelerated and plain: the same losses."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import deepgen_fast as dgf
from deepgen_fast.nn.accelerate.classes import Accelerated

nets = pytest.importorskip("monai.networks.nets", reason="monai is not installed: pip install monai")

SIZE, BATCH, STEPS = 64, 4, 3
MODELS = {
    "mobile": lambda: nets.EfficientNetBN("efficientnet-b0", pretrained=False, num_classes=10),
    "residual": lambda: nets.resnet18(spatial_dims=2, n_input_channels=3, num_classes=10),
    "multi-scale": lambda: nets.BasicUNetPlusPlus(spatial_dims=2, in_channels=3, features=(16, 16, 32, 32, 64, 16)),
}


def losses(model: nn.Module, images: list[torch.Tensor]) -> list[float]:
    torch.manual_seed(1)  # of dropout
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1e-3
    )  # small: what is larger amplifies rounding from step to step
    found = []
    for image in images:
        output = model(image)
        output = output[0] if isinstance(output, list) else output
        loss = output.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels-last"])
def test_three_steps_have_the_plain_models_losses(name: str, channels_last: bool) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    images = [torch.randn(BATCH, 3, SIZE, SIZE) for _ in range(STEPS)]
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = [image.contiguous(memory_format=torch.channels_last) for image in images]
    plain = copy.deepcopy(model)
    dgf.accelerate(model)
    assert any(isinstance(module, Accelerated) for module in model.modules())
    assert losses(model, images) == pytest.approx(losses(plain, images), rel=1e-4)
    model.eval(), plain.eval()
    with torch.no_grad():
        ours, theirs = model(images[0]), plain(images[0])
    ours, theirs = (value[0] if isinstance(value, list) else value for value in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
