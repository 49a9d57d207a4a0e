"""Files of a checkpoint, read as what a stranger may have written: each is checked before anything in it is used."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from deepgen_fast.training.errors import CheckpointError

SUMS = "SHA256SUMS"
_LARGEST_JSON = 1 << 20  # bytes; a state.json has some hundred
_SHOWN = 3  # findings in a message
_LONGEST = 300  # characters of one: a name of a stranger's may fill a screen

_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
}  # fmt: skip


class TensorSpec(NamedTuple):
    """What a stored tensor must be.

    ``optional``: it may be missing.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    optional: bool = False

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {list(self.shape)}"


Specs = Mapping[str, TensorSpec]


def specs_of(tensors: Mapping[str, Tensor]) -> dict[str, TensorSpec]:
    """What these tensors are, by name."""
    return {name: TensorSpec(tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


@dataclass(frozen=True)
class CheckpointLayout:
    """What a checkpoint must hold, file by file.

    Attributes:
        model: weights and buffers.
        ema: averaged weights; None where there must be none.
        training: the state of training; None where it is not read.
    """

    model: Specs
    ema: Specs | None = None
    training: Specs | None = None


def check_file(path: Path) -> None:
    """Check that ``path`` is a file, and not a link to one outside of its directory.

    Raises:
        CheckpointError: when it is not.
    """
    try:
        mode = path.stat().st_mode
        inside = path.resolve().parent == path.parent.resolve()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent}: not a checkpoint: no {path.name}") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: {error}") from error
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: expected a file, found something else")
    if not inside:
        raise CheckpointError(
            f"{path.parent}: damaged: {path.name}: a link to {path.resolve()}, which is outside of the checkpoint"
        )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file.

    Raises:
        CheckpointError: when it is missing, no JSON, another value than an object, or holds NaN or infinity.
    """
    check_file(path)
    try:
        size = path.stat().st_size
        if size > _LARGEST_JSON:
            raise ValueError(f"expected at most {_LARGEST_JSON} bytes, found {size}")
        value = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: nested too deeply") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: expected an object, found {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"expected finite numbers, found {name}")


def check_tensors(path: Path, expected: Specs) -> None:
    """Compare the header of a safetensors file with what it must hold, before a tensor is read.

    Raises:
        CheckpointError: when it is missing or damaged, or a tensor is missing, unknown, or of another shape or dtype.
    """
    with _opened(path) as (_, found):
        _compare(path, expected, found)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in memory of their own.

    Raises:
        CheckpointError: when it is missing or damaged.
    """
    with _opened(path) as (file, found):
        return {name: file.get_tensor(name).clone() for name in found}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Specs]]:
    """The file, and what its header says of its tensors."""
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file, {name: _spec(file, name) for name in file.keys()}  # noqa: SIM118 (a file, not a dict)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a parser of foreign bytes and torch make of them
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: {error}") from error


def _spec(file: Any, name: str) -> TensorSpec:
    view = file.get_slice(name)
    dtype = view.get_dtype()
    if dtype not in _DTYPES:
        raise ValueError(f"{name}: expected one of the dtypes {', '.join(_DTYPES)}, found {dtype}")
    return TensorSpec(_DTYPES[dtype], tuple(view.get_shape()))


def _compare(path: Path, expected: Specs, found: Specs) -> None:
    findings = []
    for name, wanted in expected.items():
        if name not in found:
            if not wanted.optional:
                findings.append(f"{name}: expected {wanted}, found nothing")
        elif found[name][:2] != wanted[:2]:
            findings.append(f"{name}: expected {wanted}, found {found[name]}")
    findings += [
        f"{name}: expected no such tensor, found {spec}" for name, spec in found.items() if name not in expected
    ]
    if findings:
        findings = [finding if len(finding) <= _LONGEST else f"{finding[:_LONGEST]}..." for finding in findings]
        more = f"; and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
        raise CheckpointError(
            f"{path.parent}: {path.name}: does not fit the model: {'; '.join(findings[:_SHOWN])}{more}"
        )


# Checksums, in the format of sha256sum: `sha256sum --check SHA256SUMS` verifies a checkpoint by hand.


def write_sums(directory: Path) -> Path:
    """Write the checksums of a directory's files; returns the path."""
    files = sorted(path for path in directory.iterdir() if path.name != SUMS)
    text = "".join(f"{_sha256(path)}  {path.name}\n" for path in files)
    (directory / SUMS).write_text(text, encoding="utf-8")
    return directory / SUMS


def read_sums(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """The checksums of a directory's files by name; none of a checkpoint of an earlier version, which has no such file.

    Args:
        directory: of the checkpoint.
        names: of the files that may be there.

    Raises:
        CheckpointError: when the checksums cannot be read, or a file is missing that was written with them, or there
            and was not.
    """
    path = directory / SUMS
    if not (path.exists() or path.is_symlink()):
        return {}
    check_file(path)
    try:
        lines = [line.split("  ", 1) for line in path.read_bytes()[:_LARGEST_JSON].decode("utf-8").splitlines()]
        sums = {name: digest for digest, name in lines}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.parent}: damaged: {path.name}: {error}") from error
    for name in names:
        there = (directory / name).exists()
        if name in sums and not there:
            raise CheckpointError(f"{directory}: damaged: expected {name}, which {SUMS} lists, found nothing")
        if there and name not in sums:
            raise CheckpointError(f"{directory}: damaged: expected no {name}, which {SUMS} does not list, found one")
    return sums


def check_sum(path: Path, sums: Mapping[str, str]) -> None:
    """Check a file against its checksum, where there is one.

    Raises:
        CheckpointError: when it has changed.
    """
    expected = sums.get(path.name)
    if expected is None:
        return
    check_file(path)
    found = _sha256(path)
    if found != expected:
        raise CheckpointError(
            f"{path.parent}: damaged: {path.name}: expected the SHA-256 checksum {expected[:64]}, found {found}"
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise CheckpointError(f"{path.parent}: {path.name}: cannot be read: {error}") from error
    return digest.hexdigest()
