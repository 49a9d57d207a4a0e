"""Build of the native libraries; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent))  # PEP 517 builds do not put the project on the path

from build_support import cpu, cuda

reason = cpu.unsupported_reason()
if reason:
    print(f"deepgen_fast: building without the CPU library: {reason}. The reference and Triton backends still work.")


class Build(cpu.NativeBuild):
    """The CPU library, and beside it the CUDA library where a CUDA compiler and a CUDA torch are found."""

    def run(self) -> None:
        super().run()
        cpu_library = Path(self.get_ext_fullpath(cpu.MODULE))
        print(f"deepgen_fast: {cuda.build(cpu_library.with_name(cuda.LIBRARY.name))}")


setup(ext_modules=[] if reason else [cpu.extension()], cmdclass={"build_ext": Build, "build_py": cpu.PythonBuild})
