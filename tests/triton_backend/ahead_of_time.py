"""Compile what the launchers launch, for GPUs that are not here, and read the machine code's figures back.

Launchers run on meta tensors while every kernel launch is recorded in place of executed; each recorded launch
is compiled by Triton for each architecture, and ``cuobjdump`` (in Triton's NVIDIA backend) reads the result.
Needs a process in which TRITON_INTERPRET is not set: run as ``python tests/triton_backend/ahead_of_time.py``.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import triton
import triton.backends.nvidia
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction, mangle_type

ARCHITECTURES = (80, 90, 100)
_CUOBJDUMP = Path(triton.backends.nvidia.__file__).parent / "bin" / "cuobjdump"
_RESOURCES = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
_OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")


class Launch(NamedTuple):
    """One kernel with the types and constants that its launch decided."""

    kernel: JITFunction
    signature: dict[str, str]
    constants: dict[str, Any]
    aligned: tuple[str, ...]  # pointers known to be 16-byte aligned
    options: dict[str, Any]

    @property
    def name(self) -> str:
        return self.kernel.fn.__name__


@contextlib.contextmanager
def recorded_launches() -> Iterator[list[Launch]]:
    """Record kernel launches in place of executing them."""
    launches: list[Launch] = []

    def record(kernel: JITFunction, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        options = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
        arguments = dict(zip((p.name for p in kernel.params), args, strict=False)) | kwargs
        signature, constants = {}, {}
        for parameter in kernel.params:
            value = arguments[parameter.name]
            if parameter.is_constexpr or value is None:
                signature[parameter.name], constants[parameter.name] = "constexpr", value
            else:
                signature[parameter.name] = parameter.annotation_type or mangle_type(value)
        aligned = tuple(name for name, kind in signature.items() if kind.startswith("*"))
        launches.append(Launch(kernel, signature, constants, aligned, options))

    original = JITFunction.run
    JITFunction.run = record
    try:
        yield launches
    finally:
        JITFunction.run = original


def launches_of(call: Callable[[], Any]) -> list[Launch]:
    """The kernels that ``call`` launches."""
    with recorded_launches() as launches:
        call()
    return launches


def figures(launch: Launch, architecture: int) -> dict[str, int]:
    """Compile one launch and read registers, spills, shared memory and access widths back."""
    index = {parameter.name: (i,) for i, parameter in enumerate(launch.kernel.params)}
    source = ASTSource(
        fn=launch.kernel,
        signature=launch.signature,
        constexprs={index[name]: value for name, value in launch.constants.items()},
        attrs={index[name]: [["tt.divisibility", 16]] for name in launch.aligned},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=launch.options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        resources = _RESOURCES.search(_cuobjdump("-res-usage", file.name))
        code = _cuobjdump("-sass", file.name)
    assert resources is not None
    registers, stack, _, local = map(int, resources.groups())
    loads, stores = re.findall(r"\bLDG[.\w]*", code), re.findall(r"\bSTG[.\w]*", code)
    spills = len(re.findall(r"\b(?:LDL|STL)\b", code))
    return {
        "registers": registers,
        "shared_bytes": compiled.metadata.shared,
        "spilled": stack + local + spills,
        "loads_128_bit": sum(".128" in load for load in loads),
        "loads_narrow": sum(".128" not in load for load in loads),
        "stores_128_bit": sum(".128" in store for store in stores),
        "stores_narrow": sum(".128" not in store for store in stores),
    }


def _cuobjdump(option: str, file: str) -> str:
    done = subprocess.run([_CUOBJDUMP, option, file], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr
