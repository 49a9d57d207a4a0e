"""Features of any extractor, in batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from deepgen_fast.metrics import extract_features


class Pooled(nn.Module):
    """As pretrained networks end: dropout, batch norm, an average over the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_a_module_runs_in_eval_mode_and_is_left_as_it_was() -> None:
    extractor = Pooled().train()
    extractor.layers[1].eval()
    x = torch.rand(10, 3, 8, 8)
    state = {name: value.clone() for name, value in extractor.state_dict().items()}
    features = extract_features(extractor, x, batch_size=3)
    assert features.shape == (10, 5) and not features.requires_grad
    assert extractor.training and extractor.layers[2].training and not extractor.layers[1].training
    assert torch.is_grad_enabled()
    assert all(torch.equal(value, state[name]) for name, value in extractor.state_dict().items())
    torch.testing.assert_close(features, extractor.eval()(x).flatten(1))


def test_tensor_loader_and_generator_give_the_same() -> None:
    x = torch.randint(10, (10, 4)).float()  # sums and products are exact

    def extractor(batch: Tensor) -> Tensor:
        return torch.stack((batch.sum(1), batch.prod(1)), dim=1)

    expected = extractor(x)
    assert torch.equal(extract_features(extractor, x, batch_size=3), expected)
    loader = DataLoader(TensorDataset(x, torch.zeros(10)), batch_size=4)
    assert torch.equal(extract_features(extractor, loader), expected)
    assert torch.equal(extract_features(extractor, (part for part in x.split(3))), expected)


def test_a_model_in_a_generator_expression_records_no_gradients() -> None:
    model = nn.Linear(2, 4)
    seen = []

    def extractor(batch: Tensor) -> Tensor:
        seen.append(batch.requires_grad)
        return batch

    extract_features(extractor, (model(torch.randn(3, 2)) for _ in range(2)))
    assert seen == [False, False]


@pytest.mark.parametrize(
    ("extractor", "error", "message"),
    [
        (lambda x: x.mean(), ValueError, r"extractor: expected one feature vector an image, \[5, d\], got \[\]"),
        (lambda x: x, ValueError, r"got \[5, 3, 4, 4\]; flatten or average"),
        (lambda x: x[:2, :, 0, 0], ValueError, r"got \[2, 3\]"),
        (lambda x: x[:, :0], ValueError, r"got \[5, 0, 4, 4\]"),
        (lambda x: x.numpy(), TypeError, "extractor: expected it to return a tensor, got ndarray"),
    ],
)
def test_extractors_that_do_not_fit(extractor: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        extract_features(extractor, torch.rand(5, 3, 4, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize("images", [torch.zeros(0, 3), []])
def test_no_images(images: object) -> None:
    with pytest.raises(ValueError, match="images: expected at least one example"):
        extract_features(lambda x: x, images)  # type: ignore[arg-type]
