"""Whatever is in a checkpoint's files, they are read whole or refused by a CheckpointError, before anything is used."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from deepgen_fast import runs
from deepgen_fast.config import TrainerConfig
from deepgen_fast.models import two_layer_vae
from deepgen_fast.systems import RunConfig
from deepgen_fast.training import CheckpointError, VAETrainer, read_checkpoint

EPOCHS, BATCH, EXAMPLES = 2, 16, 40  # three steps an epoch
FILES = ("SHA256SUMS", "ema.safetensors", "model.safetensors", "state.json", "training.safetensors")
IMAGES = torch.rand(EXAMPLES, 1, 4, 4, generator=torch.Generator().manual_seed(1)).round()


def trainer(directory: Path, **options) -> VAETrainer:
    torch.manual_seed(0)
    config = RunConfig.from_mapping(
        {
            "data": {"name": "digits"},
            "model": {"event_shape": [1, 4, 4], "hidden_dim": 12, "latent_dim": 2},
            "trainer": {
                "progress": "none", "tensorboard": False, "device": "cpu", "batch_size": BATCH, "epochs": EPOCHS,
                "ema_decay": 0.9, "checkpoint_seconds": 0, "keep_checkpoints": 3,
            },
        }
    )  # fmt: skip
    model = two_layer_vae((1, 4, 4), hidden_dim=12, latent_dim=2)

    def config_text(settings: TrainerConfig) -> str:
        return config.model_copy(update={"trainer": settings}).to_toml()

    return VAETrainer(model, None, config.trainer, config_text=config_text, run_directory=directory, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("written") / "run"
    trainer(directory).fit(IMAGES)
    return directory


@pytest.fixture
def run(written, tmp_path) -> Path:
    """A run of six steps with the checkpoints of the last three."""
    return Path(shutil.copytree(written, tmp_path / "run"))


def latest(run: Path) -> Path:
    return run / "checkpoints" / "step-00000006"


def unsigned(run: Path) -> Path:
    """The latest checkpoint without its checksums, as a stranger, who can write any, might hand it over."""
    (latest(run) / "SHA256SUMS").unlink()
    return latest(run)


def edit(name: str, change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(checkpoint: Path) -> None:
        tensors = load_file(checkpoint / name)
        change(tensors)
        save_file({key: tensor.clone() for key, tensor in tensors.items()}, checkpoint / name)

    return apply


def cut(key: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors.update({key: tensors[key][:1]})


def removed(key: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors.__delitem__(key)


def narrowed(key: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors.update({key: tensors[key].half()})


def without_moments(tensors: dict[str, torch.Tensor]) -> None:
    for key in [key for key in tensors if key.startswith("optimizer.")]:
        del tensors[key]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("training.safetensors", cut("optimizer.0.exp_avg")),
         r"step-00000006: training\.safetensors: does not fit the model: optimizer\.0\.exp_avg: "
         r"expected float32 \[12, 16\], found float32 \[1, 16\]"),
        (edit("training.safetensors", removed("optimizer.3.exp_avg_sq")), r"optimizer\.3\.exp_avg_sq: .*found nothing"),
        (edit("training.safetensors", removed("optimizer.0.step")), r"optimizer\.0\.step: expected float32 \[\]"),
        (edit("training.safetensors", without_moments), r"optimizer\.0\.step: .*; and \d+ more"),
        (edit("training.safetensors", narrowed("optimizer.1.exp_avg")), "expected float32 .*, found float16"),
        (edit("training.safetensors", cut("random.cpu")), r"random\.cpu: expected uint8 \[\d+\], found uint8 \[1\]"),
        (edit("training.safetensors", lambda t: t["random.cpu"].zero_()), r"damaged: random\.cpu: "),
        (edit("training.safetensors", cut("epoch_sums")), r"epoch_sums: expected float64 \[3\], found float64 \[1\]"),
        (edit("training.safetensors", lambda t: t.update(more=torch.ones(2))), "more: expected no such tensor, found"),
        (edit("model.safetensors", cut("encoder.hidden.bias")), r"model\.safetensors: .*bias: expected float32 \[12\]"),
        (edit("model.safetensors", removed("encoder.hidden.bias")), r"bias: expected float32 \[12\], found nothing"),
        (edit("model.safetensors", narrowed("encoder.hidden.bias")), "expected float32 .*, found float16"),
        (edit("ema.safetensors", cut("encoder.hidden.bias")), r"ema\.safetensors: does not fit the model: .*\[1\]"),
        (edit("ema.safetensors", removed("encoder.hidden.bias")), r"ema\.safetensors: .*found nothing"),
        (lambda path: (path / "ema.safetensors").unlink(), "kept no average of the weights, but ema_decay is set"),
        (lambda path: (path / "training.safetensors").unlink(), r"no training\.safetensors: holds weights only"),
        (lambda path: (path / "model.safetensors").unlink(), r"not a checkpoint: no model\.safetensors"),
    ],
)  # fmt: skip
def test_tensors_are_compared_with_the_runs_own(run, change, message):
    change(unsigned(run))
    before = trainer(run)
    weights = [parameter.detach().clone() for parameter in before.model.parameters()]
    with pytest.raises(CheckpointError, match=message):
        before.fit(IMAGES, resume_from="last")
    for parameter, old in zip(before.model.parameters(), weights, strict=True):
        assert torch.equal(parameter, old)


def state(**changes) -> Callable[[Path], None]:
    def apply(checkpoint: Path) -> None:
        path = checkpoint / "state.json"
        stored = json.loads(path.read_text())
        for name, value in changes.items():
            *outer, last = name.split("__")
            place = stored
            for key in outer:
                place = place[key]
            if value is None:
                del place[last]
            else:
                place[last] = value
        path.write_text(json.dumps(stored))

    return apply


def text(value: str) -> Callable[[Path], None]:
    return lambda checkpoint: (checkpoint / "state.json").write_text(value) and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (text("[1, 2]"), r"state\.json: expected an object, found list"),
        (text("7"), "expected an object, found int"),
        (text("null"), "expected an object, found NoneType"),
        (text("[" * 100_000 + "]" * 100_000), r"damaged: state\.json: nested too deeply"),
        (text('{"format": 1, "a": ' * 50_000), r"damaged: state\.json: nested too deeply"),
        (text(""), r"damaged: state\.json: "),
        (text('{"format": 1, "step": NaN}'), "expected finite numbers, found NaN"),
        (text('{"format": ' + "9" * 5000 + "}"), r"damaged: state\.json: "),
        (text(" " * (1 << 21)), "expected at most 1048576 bytes, found 2097152"),
        (lambda path: (path / "state.json").write_bytes(b"\xff\xfe{}") and None, r"damaged: state\.json: "),
        (state(format=True), "format: expected 1, found True"),
        (state(format=None), "format: expected 1, found None"),
        (state(format=[[[1]]]), "written in a format that this version does not know"),
        (state(position=None), r"damaged: state\.json: position: field required"),
        (state(position=[1, 2]), "position: "),
        (state(position__batch=None, position__bach=0), r"position\.bach: "),
        (state(position__step="6"), r"position\.step: input should be a valid integer, got '6'"),
        (state(position__step=6.0), r"position\.step: input should be a valid integer"),
        (state(position__batch=True), r"position\.batch: input should be a valid integer, got True"),
        (state(position__batch=-1), r"position\.batch: input should be greater than or equal to 0, got -1"),
        (state(position__epoch=10**30), r"position\.epoch: input should be less than or equal to"),
        (state(step=7), r"position\.step: expected 7, found 6"),
        (state(step=5, position__step=5), r"step: expected 6, found 5"),
        (state(epoch=7), r"position\.epoch: expected 7, found 2"),
        (state(best=None), "best: field required"),
        (state(best__loss="low"), r"best\.loss: input should be a valid number, got 'low'"),
        (state(best__waited=[]), r"best\.waited: input should be a valid integer"),
        (state(unknown=1), "unknown: no such field"),
    ],
)
def test_the_state_is_checked(run, change, message):
    change(unsigned(run))
    with pytest.raises(CheckpointError, match=message):
        trainer(run).fit(IMAGES, resume_from="last")


def test_an_infinite_loss_is_refused(run):
    path = unsigned(run) / "state.json"
    path.write_text(path.read_text().replace('"loss": null', '"loss": 1e999'))
    with pytest.raises(CheckpointError, match=r"best\.loss: input should be a finite number"):
        trainer(run).fit(IMAGES, resume_from="last")


def header(length: int, description: bytes = b"{}") -> Callable[[Path], None]:
    return lambda path: (path / "model.safetensors").write_bytes(struct.pack("<Q", length) + description) and None


def declared(dtype: str, shape: list[int], offsets: list[int]) -> Callable[[Path], None]:
    description = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    return header(len(description), description + b"\0" * 8)


@pytest.mark.parametrize(
    "change",
    [
        header(2**63), header(2**64 - 1), header(10**8), header(3), header(0),
        declared("F32", [2**62, 4], [0, 8]), declared("F32", [2**40], [0, 2**42]), declared("F32", [2], [8, 0]),
        declared("F32", [2], [-8, 0]), declared("F33", [2], [0, 8]), declared("F8_E4M3", [8], [0, 8]),
        declared("F32", [-2], [0, 8]), declared("F32", [3], [0, 8]), declared("C64", [1], [0, 8]),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(run, change):
    change(unsigned(run))
    with pytest.raises(CheckpointError, match=r"step-00000006: .*model\.safetensors"):
        trainer(run).fit(IMAGES, resume_from="last")
    with pytest.raises(CheckpointError, match=r"step-00000006: damaged: model\.safetensors"):
        read_checkpoint(latest(run))


def test_a_file_of_a_terabyte_is_refused_unread(run):
    """It is sparse: it takes no room on the disk, and reading it would take all memory."""
    size = 1 << 40
    description = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path = unsigned(run) / "training.safetensors"
    path.write_bytes(struct.pack("<Q", len(description)) + description)
    try:
        os.truncate(path, 8 + len(description) + size)
    except OSError:
        pytest.skip("this file system holds no file of that size")
    with pytest.raises(CheckpointError, match=r"step-00000006: .*training\.safetensors: "):
        trainer(run).fit(IMAGES, resume_from="last")


@pytest.mark.parametrize("name", FILES)
def test_links_out_of_the_checkpoint_and_what_is_no_file_are_refused(run, name, tmp_path):
    path = latest(run) / name
    outside = tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(CheckpointError, match=f"damaged: {name}: a link to .*outside, which is outside"):
        trainer(run).fit(IMAGES, resume_from="last")
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"damaged: {name}: expected a file, found something else"):
        trainer(run).fit(IMAGES, resume_from="last")
    path.rmdir()
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(path)  # opening it would wait for ever
    with pytest.raises(CheckpointError, match=f"damaged: {name}: expected a file, found something else"):
        trainer(run).fit(IMAGES, resume_from="last")


def test_a_link_to_the_run_is_a_run(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert trainer(tmp_path / "link").fit(IMAGES, resume_from="last").reason == "completed"


def damages(name: str, size: int) -> list[Callable[[bytearray], bytes]]:
    """Files cut short, with bytes flipped, overwritten and added: the same ones at every run."""
    draw = random.Random(name)
    cuts = [0, 1, 7, 8, 9, size // 2, size - 1, *(draw.randrange(size) for _ in range(4))]
    flips = [*range(0, min(size, 24)), *(draw.randrange(size) for _ in range(16)), size - 1]

    def flip(place: int, bit: int) -> Callable[[bytearray], bytes]:
        return lambda content: content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

    def overwrite(place: int, value: bytes) -> Callable[[bytearray], bytes]:
        return lambda content: content[:place] + value + content[place + len(value) :]

    return [
        *(lambda content, length=length: content[:length] for length in cuts),
        *(flip(place, draw.randrange(8)) for place in flips),
        *(overwrite(draw.randrange(size), draw.randbytes(8)) for _ in range(8)),
        lambda content: content + b"\0",
        lambda content: content + content,
    ]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_any_damage_is_a_checkpoint_error_or_harmless(run, name, signed, monkeypatch):
    if not signed:
        if name == "SHA256SUMS":
            pytest.skip("there is no such file")
        unsigned(run)
    path = latest(run) / name
    whole = path.read_bytes()
    target = trainer(run)
    monkeypatch.setattr(target, "_advice", lambda damaged: "")  # which would read the other checkpoints each time
    refused = 0
    for damage in damages(name, len(whole)):
        content = bytes(damage(bytearray(whole)))
        if content == whole:
            continue
        path.write_bytes(content)
        try:
            target.fit(IMAGES, resume_from=latest(run))
        except CheckpointError as error:
            refused += 1
            assert "step-00000006" in str(error)
        else:
            # Of the checksums some damage leaves the sums as they are, such as a line that comes twice.
            assert not signed or name == "SHA256SUMS", f"{name} was changed and not noticed"
    assert refused >= 10
    path.write_bytes(whole)
    assert trainer(run).fit(IMAGES, resume_from="last").reason == "completed"


def test_the_newest_whole_checkpoint_is_named_and_goes_on(run):
    whole = trainer(run).run_directory.checkpoints.named("step")
    assert [path.name for path in whole] == ["step-00000004", "step-00000005", "step-00000006"]
    (whole[2] / "training.safetensors").write_bytes(b"")
    (whole[1] / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"step-00000006: .*\. The newest whole checkpoint is .*step-00000004: "):
        trainer(run).fit(IMAGES, resume_from="last")
    expected = load_file(whole[2] / "model.safetensors")
    assert trainer(run).fit(IMAGES, resume_from=whole[0]).steps == 6
    stored = read_checkpoint(latest(run))
    assert all(torch.equal(stored.model[name], value) for name, value in expected.items())
    for path in run.glob("checkpoints/*"):
        (path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        trainer(run).fit(IMAGES, resume_from="last")
    assert "newest whole checkpoint" not in str(caught.value)


def test_damage_is_noticed_by_those_who_use_a_model(run):
    expected = runs.open(run, "last").model.state_dict()
    path = latest(run)
    averages = (path / "ema.safetensors").read_bytes()
    (path / "ema.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"expected ema\.safetensors, which SHA256SUMS lists.*step-00000005"):
        runs.open(run, "last")
    (path / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match="kept no average of the weights"):  # not the raw ones, in silence
        runs.open(run, "last")
    (path / "ema.safetensors").write_bytes(averages)
    edit("model.safetensors", cut("encoder.hidden.bias"))(path)
    with pytest.raises(
        CheckpointError, match=r"does not fit the model: .*\. The newest whole checkpoint is .*00000005"
    ):
        runs.open(run, "last")
    assert runs.open(run, "step-00000005").step == 5
    assert expected.keys() == runs.open(run, "step-00000005").model.state_dict().keys()


def test_state_of_training_is_not_read_to_use_a_model(run):
    (latest(run) / "training.safetensors").write_bytes(b"damaged")
    assert runs.open(run, "last").step == 6


def test_moments_come_back_with_the_strides_of_their_weights(tmp_path):
    """The fused Adam walks weights and moments side by side; channels-last weights are not in the order of the file."""
    from deepgen_fast.config.sections import TrainerConfig
    from deepgen_fast.training.state.adam import build_adam, moments_of, restore_moments

    def convolution() -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

    def step(layer: nn.Conv2d, optimizer: torch.optim.Adam, seed: int) -> None:
        for parameter in layer.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter.grad = torch.empty_like(parameter).copy_(noise)
        optimizer.step()

    whole, parts = convolution(), convolution()
    optimizers = [build_adam(layer.parameters(), TrainerConfig(), torch.device("cpu")) for layer in (whole, parts)]
    step(whole, optimizers[0], 1)
    with torch.no_grad():
        for target, source in zip(parts.parameters(), whole.parameters(), strict=True):
            target.copy_(source)
    save_file({name: value.contiguous() for name, value in moments_of(optimizers[0]).items()}, tmp_path / "m")
    restore_moments(optimizers[1], load_file(tmp_path / "m"))
    assert optimizers[1].state[parts.weight]["exp_avg"].stride() == parts.weight.stride()
    for layer, optimizer in ((whole, optimizers[0]), (parts, optimizers[1])):
        step(layer, optimizer, 2)
    assert torch.equal(whole.weight, parts.weight)
