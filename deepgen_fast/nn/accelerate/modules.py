"""The forward of a module that is accelerated: a convolution's and a Sequential's."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from deepgen_fast.nn.accelerate import layers, recording
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.nn.accelerate.runs import Run, compute, run_layers


def _plain_forward_has_it(layer: Any, input: Tensor) -> bool:
    reason = layers.why_not(layer) or layers.why_not_here(layer, input)
    if reason is None and layers.recorded_elsewhere():
        reason = "the model is being recorded, or its operators watched"
    if reason is not None and recording.active():
        recording.note_left(layer, reason)
    return reason is not None


class AcceleratedConv2d(Accelerated):
    def forward(self, input: Tensor) -> Tensor:
        if _plain_forward_has_it(self, input):
            return super().forward(input)  # type: ignore[misc]
        return compute(Run(self), input)


class AcceleratedConvTranspose2d(Accelerated):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or _plain_forward_has_it(self, input):
            return super().forward(input, output_size)  # type: ignore[misc]
        return compute(Run(self), input)


class AcceleratedSequential(Accelerated):
    def forward(self, input: Any) -> Any:
        # A watcher of every call has them all come by; what is not a tensor is torch.fx's, or a layer's own matter.
        if not layers.is_plain(input) or layers.recorded_elsewhere() or layers.every_call_is_hooked():
            return super().forward(input)  # type: ignore[misc]
        return run_layers(flattened(self), input)


def flattened(sequential: Any) -> list[nn.Module]:
    """The layers in the order of their calls, those of inner Sequentials among them."""
    found: list[nn.Module] = []
    for layer in sequential._modules.values():
        if isinstance(layer, Accelerated) and layers.role(layer) is layers.SEQUENTIAL and not layers.changed(layer):
            found.extend(flattened(layer))
        else:
            found.append(layer)
    return found


BEHAVIOURS: dict[str, type[Accelerated]] = {
    layers.CONVOLUTION: AcceleratedConv2d,
    layers.TRANSPOSED_CONVOLUTION: AcceleratedConvTranspose2d,
    layers.SEQUENTIAL: AcceleratedSequential,
}
layers.ROLES.update({behaviour.forward: role for role, behaviour in BEHAVIOURS.items()})  # type: ignore[attr-defined]
