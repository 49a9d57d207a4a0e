"""Public functions, checks, dispatch and autograd of the operators."""

from mutants.fault import Fault

_OPS = "deepgen_fast/ops"

FAULTS = (
    # ---- checks ----
    Fault(
        f"{_OPS}/checks.py",
        "if shape != expected and (len(shape) < 2 or shape != expected[1:]):",
        "if shape != expected and shape != expected[1:]:",
        "tests/contract/test_bad_input.py",
    ),
    Fault(f"{_OPS}/checks.py", "    if mask.dtype != torch.bool:", "    if False:", "tests/contract/test_bad_input.py"),
    Fault(
        f"{_OPS}/convolution/arguments.py",
        "if min(*size, *result) < 1:",
        "if min(result) < 1:",
        "tests/contract/test_bad_input.py",
    ),
    Fault(
        f"{_OPS}/convolution/normalized.py",
        "    if image.shape[0] * height * width == 1:",
        "    if False:",
        "tests/contract/test_bad_input.py",
    ),
    # ---- reductions and gradients ----
    Fault(
        f"{_OPS}/checks.py",
        'return value.mean() if reduction == "mean" else value',
        "return value",
        'tests/contract/test_truth.py -k "small and cpu and mean"',
    ),
    Fault(
        f"{_OPS}/checks.py",
        "    return tuple(permute(tensor) for tensor in (output, target, *operands)), (0, 3, 1, 2)",
        "    return tuple(permute(tensor) for tensor in (output, target, *operands)), (0, 2, 3, 1)",
        'tests/contract/test_layout.py -k "channels_last and cpu"',
    ),
    Fault(
        f"{_OPS}/checks.py",
        "    if target.dim() != 4:",
        "    if False:",
        'tests/contract/test_layout.py -k "channels_last and cpu"',
    ),
    Fault(
        f"{_OPS}/autograd.py",
        "    return torch.is_grad_enabled() and not torch.compiler.is_compiling()",
        "    return False",
        'tests/contract/test_gradients.py -k "second_order and cpu"',
    ),
    Fault(
        f"{_OPS}/reparameterize_kl/autograd.py",
        "std.clamp(max=torch.finfo(std.dtype).max)",
        "std",
        'tests/contract/test_gradients.py -k "noise_is_rounded and cpu"',
    ),
    Fault(
        f"{_OPS}/negative_elbo/function.py",
        "loss = weighted_penalty(beta, kl_per_example) - log_likelihood",
        "loss = kl_per_example - weighted_penalty(beta, log_likelihood)",
        "tests/properties/test_negative_elbo.py",
    ),
    Fault(
        f"{_OPS}/negative_elbo/reference.py",
        "return total if mean_reduction else total * batch",
        "return total",
        'tests/contract/test_truth.py -k "small and free-bits and reference"',
    ),
    Fault(
        f"{_OPS}/bernoulli_log_likelihood/reference.py",
        "grad_target = weighted(grad, wide_logits)",
        "grad_target = weighted(-grad, wide_logits)",
        'tests/contract/test_truth.py -k "small and bernoulli and reference"',
    ),
    Fault(f"{_OPS}/softplus.py", "linear = x < -FAR", "linear = x > -FAR", "tests/ops/test_softplus.py"),
    Fault(f"{_OPS}/softplus.py", "F.softplus(x, threshold=FAR)", "F.softplus(x)", "tests/ops/test_softplus.py"),
    Fault(
        f"{_OPS}/minibatch_discrimination/reference.py",
        "weight = (grad.unsqueeze(1) + grad.unsqueeze(0)) * similarity",
        "weight = (grad.unsqueeze(1) + grad.unsqueeze(1)) * similarity",
        'tests/contract/test_gradients.py -k "minibatch and reference"',
    ),
    # ---- noise ----
    Fault(
        "deepgen_fast/random.py",
        "return (product >> 32) & _MASK32, product & _MASK32",
        "return product >> 32, product & _MASK32",
        "tests/ops/test_philox.py tests/contract/test_noise.py",
    ),
    Fault(
        "deepgen_fast/random.py",
        "torch.broadcast_tensors(group, example & _MASK32, example >> 32, sample)",
        "torch.broadcast_tensors(group, example & _MASK32, sample, example >> 32)",
        "tests/properties/test_reparameterize_kl.py tests/contract/test_noise.py",
    ),
    Fault(
        "deepgen_fast/random.py",
        "return drawn if self.rows is None else drawn[self.rows[1]]",
        "return drawn",
        "tests/training/test_distributed.py",
    ),
    # ---- dispatch of convolutions ----
    Fault(
        f"{_OPS}/convolution/dispatch.py",
        "*place, self.algorithm, self.backend, fused, self.tf32)",
        "*place, self.algorithm, self.backend, fused)",
        "tests/ops/convolution",
    ),
    Fault(
        f"{_OPS}/convolution/arguments.py",
        "if torch.is_autocast_enabled(device_type):\n        return None",
        "if False:\n        return None",
        "tests/ops/convolution",
    ),
    Fault(
        f"{_OPS}/convolution/autograd.py",
        "return grad_image, grad_weight, grad.sum((0, 2, 3)) if need_bias else None",
        "return grad_image, grad_weight, grad.sum((0, 2)) if need_bias else None",
        'tests/contract/test_gradients.py -k "first_order and cpu and winograd"',
    ),
    Fault(
        f"{_OPS}/convolution/autograd.py",
        "padding = descriptor.geometry.output_padding(_size(grad), _size(image))",
        "padding = (0, 0)",
        'tests/contract/test_gradients.py -k "first_order and cpu and conv2d"',
    ),
    Fault(
        f"{_OPS}/batch_norm_act/function.py",
        "_move(norm.running_var, statistics[1] / max(count - 1, 1), norm.momentum)",
        "_move(norm.running_var, statistics[1] / max(count, 1), norm.momentum)",
        "tests/triton_backend/kernels/test_batch_norm_act.py -k running",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/function.py",
        "shift = (-mean if bias is None else bias - mean) * scale",
        "shift = -mean * scale",
        "tests/ops/convolution/test_evaluation.py",
    ),
    # ---- torch.func ----
    Fault(
        f"{_OPS}/vmap.py",
        "tensor = _to_front(tensor, dim, size).movedim(0, batch_dim)",
        "tensor = _to_front(tensor, dim, size).movedim(0, batch_dim + 1)",
        "tests/contract/test_transforms.py",
    ),
)
