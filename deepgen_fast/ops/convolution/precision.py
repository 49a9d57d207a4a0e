"""Whether float32 convolutions may be computed in TF32: as the user told PyTorch."""

from __future__ import annotations

import torch

from deepgen_fast.tracing import constant_while_tracing


@constant_while_tracing
def tf32_allowed() -> bool:
    """Whether PyTorch's own convolutions of float32 round what they multiply to TF32 on a GPU; its default."""
    return torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]


def takes_tf32(device_type: str, dtype: torch.dtype) -> bool:
    """Whether they do for these operands."""
    return device_type == "cuda" and dtype == torch.float32 and tf32_allowed()
