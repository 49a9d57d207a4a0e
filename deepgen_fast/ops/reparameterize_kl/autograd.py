"""The autograd Function: which launcher runs forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code, reduce_repeated
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.reparameterize_kl import reference
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.vmap import merge_batch, split_batch


class ReparameterizeKL(torch.autograd.Function):
    @staticmethod
    def forward(
        mean: Tensor,
        scale: Tensor,
        prior_mean: Tensor | None,
        prior_logvar: Tensor | None,
        noise: Tensor | None,
        seed: Tensor | None,
        num_samples: int | None,
        scale_kind: int,
        elementwise_kl: bool,
        backend: str,
    ) -> tuple[Tensor, Tensor]:
        launch = launchers("reparameterize_kl", backend)
        return launch.reparameterize_kl(
            mean, scale, prior_mean, prior_logvar, noise, seed, num_samples, scale_kind, elementwise_kl
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *tensors, ctx.num_samples, ctx.scale_kind, ctx.elementwise_kl, ctx.backend = inputs
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)  # an output nobody uses costs nothing

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor | None, grad_kl: Tensor | None) -> tuple[Any, ...]:
        mean, scale, prior_mean, prior_logvar, noise, seed = ctx.saved_tensors
        needed = ctx.needs_input_grad
        launch = reference if needs_torch_code(grad_z, grad_kl) else launchers("reparameterize_kl", ctx.backend)
        grads = launch.reparameterize_kl_backward(
            grad_z, grad_kl, mean, scale, prior_mean, prior_logvar, noise, seed, ctx.num_samples, ctx.scale_kind,
            ctx.elementwise_kl, needed[2] or needed[3],
        )  # fmt: skip
        grad_noise = None
        if needed[4] and grad_z is not None:  # rare, and one product: torch's
            wide_scale = scale.to(accumulation_dtype(scale.dtype))
            std = reference.standard_deviation(wide_scale, ctx.scale_kind)
            # A finite scale gives a zero gradient a finite factor.
            std = torch.where(torch.isfinite(wide_scale), std.clamp(max=torch.finfo(std.dtype).max), std)
            grad_noise = (grad_z * std).to(noise.dtype)
        return (
            grads[0] if needed[0] else None,
            grads[1] if needed[1] else None,
            reduce_repeated(grads[2], prior_mean) if needed[2] else None,
            reduce_repeated(grads[3], prior_logvar) if needed[3] else None,
            grad_noise,
            *(None,) * 5,
        )

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        return reference.reparameterize_kl_tangents(*tangents[:5], *inputs[:9])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, ...]:
        # Generated noise is a tensor by now (seeded_noise), so the mapped dimension simply joins the batch.
        mean, noise, num_samples = args[0], args[4], args[6]
        size = info.batch_size
        batch = mean.shape[0] if in_dims[0] is None else mean.movedim(in_dims[0], 0).shape[1]
        event_dims = mean.dim() - (in_dims[0] is not None)

        def rows(tensor: Tensor | None, dim: int | None) -> Tensor | None:
            if tensor is None:
                return None
            if tensor.dim() - (dim is not None) < event_dims:  # repeats over the batch: lanes may differ
                tensor = (tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0).unsqueeze(1)).expand(
                    *(() if dim is None else (size,)), batch, *(-1,) * (event_dims - 1)
                )
                dim = None if dim is None else 0
            return merge_batch(tensor, dim, size, 0)

        sample_dim = 0 if num_samples is None else 1
        z, kl = apply_function(
            ReparameterizeKL,
            *(rows(tensor, dim) for tensor, dim in zip(args[:4], in_dims[:4], strict=True)),
            merge_batch(noise, in_dims[4], size, sample_dim),
            *args[5:],
        )
        return (split_batch(z, size, sample_dim), split_batch(kl, size, 0)), (sample_dim, 0)
