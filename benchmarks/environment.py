"""The machine and the versions a figure belongs to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import datetime, timezone
from pathlib import Path

import torch

import deepgen_fast
from deepgen_fast import backends, native


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    model = facts.get("model name", platform.machine())
    return f"{model}, family {facts.get('cpu family', '?')} model {facts.get('model', '?')}, {os.cpu_count()} cores"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def environment(threads: int) -> dict[str, str]:
    """Names and values, in the order to print."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "threads": str(threads),
        "load before (1 min)": f"{os.getloadavg()[0]:.2f}",
        "instruction set of deepgen_fast": str(native.cpu_instruction_set()),
        "instruction set of torch": torch.backends.cpu.get_cpu_capability(),
        "backend": backends.choose("auto", torch.device("cpu")),
        "deepgen_fast": deepgen_fast.__version__,
        "torch": torch.__version__,
        "pythae": _version("pythae"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
