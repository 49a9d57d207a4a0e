"""Build of the native libraries; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent))  # PEP 517 builds do not put the project on the path

from build_support import cpu

reason = cpu.why_not()
if reason:
    print(f"deepgen_fast: building without the CPU library: {reason}. The reference and Triton backends still work.")

setup(ext_modules=[] if reason else [cpu.extension()], cmdclass={"build_ext": cpu.ParallelBuild})
