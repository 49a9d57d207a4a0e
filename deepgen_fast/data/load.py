"""One entry for every kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deepgen_fast.data.arrays import load_arrays
from deepgen_fast.data.checks import VALUES, DataError
from deepgen_fast.data.digits import digits, mnist5k
from deepgen_fast.data.image_folder import load_image_folder
from deepgen_fast.data.mixtures import grid, ring
from deepgen_fast.data.resizing import resize_splits
from deepgen_fast.data.sentences import CORPORA, load_sentences
from deepgen_fast.data.splits import DatasetSplits, split_whole, with_validation
from deepgen_fast.data.torchvision_sets import load_torchvision

BUILT_IN = {"mnist5k": mnist5k, "digits": digits, "ring": ring, "grid": grid}


def load_dataset(
    name_or_path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    image_shape: Sequence[int] | None = None,
    image_mode: str | None = None,
    values: str = "unit",
    array_key: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    root: str | Path = "data",
    download: bool = False,
    in_memory_limit: int = 2 << 30,
    min_words: int = 4,
    max_words: int = 20,
    min_count: int = 2,
) -> DatasetSplits:
    """Load, check and divide a data set.

    Args:
        name_or_path: ``"mnist5k"``, ``"digits"``, ``"ring"`` or ``"grid"`` (of Gaussians), an ``.npz`` or
            ``.npy`` file, a folder of images, or the name of a torchvision data set such as
            ``"FashionMNIST"``. Sentences: ``"pydoc"``, or a ``.txt`` file with one a line.
        image_size: resize images to ``(height, width)``, or one number for both: bicubic where they are read from
            files, bilinear where they are in memory, both antialiased.
        image_shape: shape of one example, for arrays that do not say: ``(1, 28, 28)`` for ``[N, 784]``.
        image_mode: ``"L"`` or ``"RGB"``, for a folder; None follows the first image.
        values: what the numbers of an array are: ``"unit"`` (pixels in [0, 1], the default, or integers 0 to
            255), ``"byte"`` (floats from 0 to 255) or ``"any"`` (any finite numbers).
        array_key: which array of an ``.npz`` holds the examples.
        validation_fraction: part of the training examples held out for validation.
        test_fraction: part held out for testing, where the data has no test set of its own.
        split_seed: of the division; not the seed of training, so that runs with different seeds see the same
            sets.
        root: folder of torchvision's files.
        download: whether torchvision may download.
        in_memory_limit: bytes of float32; larger image sets are read through a DataLoader. 2 GiB by default.
        min_words, max_words, min_count: of sentences; see ``load_sentences``.

    Returns:
        The splits: float32 ``[N, *event]`` in memory, or a ``Dataset`` where too large; of sentences int64 ``[N, T]``
        with their vocabulary.

    Raises:
        DataError: for anything wrong with the data, naming it.
        ValueError: for an option out of its range.
    """
    if values not in VALUES:
        raise ValueError(f"values: expected one of {', '.join(VALUES)}, got {values!r}")
    for option, fraction in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0.0 <= fraction < 1.0:
            raise ValueError(f"{option}: expected a number in [0, 1), got {fraction}")
    fractions = {"validation_fraction": validation_fraction, "split_seed": split_seed}
    if isinstance(name_or_path, str) and name_or_path in BUILT_IN:
        built_in = resize_splits(BUILT_IN[name_or_path](), image_size)
        return with_validation(built_in, **fractions)  # type: ignore[arg-type]
    path = Path(name_or_path).expanduser()
    if name_or_path in CORPORA or path.suffix == ".txt":
        if image_size is not None or image_shape is not None:
            raise DataError(f"{name_or_path}: image_size and image_shape are of images, and these are sentences")
        return load_sentences(
            name_or_path,
            min_words=min_words,
            max_words=max_words,
            min_count=min_count,
            test_fraction=test_fraction,
            **fractions,  # type: ignore[arg-type]
        )
    if path.is_dir():
        whole = load_image_folder(path, image_size=image_size, image_mode=image_mode, in_memory_limit=in_memory_limit)
        return split_whole(str(path), whole, test_fraction=test_fraction, **fractions)  # type: ignore[arg-type]
    if path.suffix in (".npz", ".npy"):
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        splits = load_arrays(
            path,
            values=values,
            image_shape=image_shape,
            array_key=array_key,
            test_fraction=test_fraction,
            **fractions,  # type: ignore[arg-type]
        )
        return with_validation(resize_splits(splits, image_size), **fractions)  # type: ignore[arg-type]
    if path.exists() or len(path.parts) > 1 or path.suffix:
        state = "is no .npz, .npy or .txt file and no folder of images" if path.exists() else "no such file or folder"
        raise DataError(f"{path}: {state}")
    splits = load_torchvision(
        str(name_or_path),
        root=Path(root).expanduser(),
        download=download,
        image_size=image_size,
        in_memory_limit=in_memory_limit,
    )
    return with_validation(resize_splits(splits, image_size), **fractions)  # type: ignore[arg-type]
