"""What setup.py does, one part of the build a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# The stable ABI of this version on: one build of the native libraries serves every later torch.
TORCH_TARGET_VERSION = "0x020A000000000000ULL"


def torch_directory() -> Path | None:
    """Where torch is installed, without the seconds that importing it takes."""
    spec = importlib.util.find_spec("torch")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def torch_include_paths() -> list[str]:
    """Folders of torch's headers. (torch's own function for this guesses at CUDA too, and warns.)"""
    torch = torch_directory()
    assert torch is not None
    return [str(torch / "include"), str(torch / "include" / "torch" / "csrc" / "api" / "include")]
