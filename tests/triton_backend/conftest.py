"""Kernel tests run where Triton can run: in its interpreter, or on a GPU.

The interpreter must be chosen before Triton is first imported and then holds for the whole process, so
outside such a process the files of ``kernels/`` are not collected: ``test_interpreter.py`` runs each in a
process of its own.
"""

from __future__ import annotations

import os

import torch

if os.environ.get("TRITON_INTERPRET") != "1" and not torch.cuda.is_available():
    collect_ignore = ["kernels"]
