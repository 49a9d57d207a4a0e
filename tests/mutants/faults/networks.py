"""Blocks, accelerate and the layers of nn."""

from mutants.fault import Fault

_NN = "deepgen_fast/nn"

FAULTS = (
    Fault(
        f"{_NN}/fused_groups.py",
        "        norm.num_batches_tracked.add_(1)",
        "        pass",
        "tests/nn/test_accelerate_models.py tests/nn/test_blocks.py",
    ),
    Fault(
        f"{_NN}/fused_groups.py",
        "        and norm.num_features == convolution.out_channels\n",
        "",
        "tests/nn/test_accelerate_settings.py",
    ),
    Fault(
        f"{_NN}/fused_groups.py",
        'slope = getattr(activation, "negative_slope", 0.0)',
        "slope = 0.2",
        "tests/nn/test_accelerate_models.py tests/nn/test_accelerate_classes.py tests/nn/test_blocks.py",
    ),
    Fault(
        f"{_NN}/layers.py",
        "    if layer.groups != 1 or type(layer.groups) is not int:",
        "    if False:",
        "tests/nn/test_accelerate_models.py tests/nn/test_explain.py",
    ),
    Fault(
        f"{_NN}/layers.py",
        '        return "backward hooks"',
        "        return None",
        "tests/nn/test_accelerate_hooks.py tests/nn/test_blocks.py",
    ),
    Fault(
        f"{_NN}/accelerate/classes.py",
        '        inherited = getattr(super(), "__deepcopy__", None)\n        return deepcopy',
        "        inherited = None\n        return deepcopy",
        "tests/nn/test_accelerate_copies.py tests/nn/test_accelerate_classes.py",
    ),
    Fault(
        f"{_NN}/batch_norm.py",
        "return 1.0 / (float(norm.num_batches_tracked) + 1.0) if counted else 0.0",
        "return 1.0 / max(float(norm.num_batches_tracked), 1.0) if counted else 0.0",
        "tests/nn/test_blocks.py tests/nn/test_accelerate_models.py",
    ),
    Fault(
        f"{_NN}/batch_norm.py",
        "                buffer.copy_(buffers[name])",
        "                pass",
        "tests/nn tests/training/test_gan_trainer.py",
    ),
    Fault(
        f"{_NN}/virtual_batch_norm.py",
        "joint = mean + (own_mean - mean) / (count + 1)",
        "joint = mean + (own_mean - mean) / count",
        "tests/nn/test_virtual_batch_norm.py",
    ),
)
