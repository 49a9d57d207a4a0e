"""The public function: checks, autograd."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.ops import checks
from deepgen_fast.ops.autograd import apply_function
from deepgen_fast.ops.minibatch_discrimination import reference
from deepgen_fast.ops.minibatch_discrimination.autograd import MinibatchDiscrimination
from deepgen_fast.tracing import symbolic


def minibatch_discrimination(features: Tensor, *, include_self: bool = False, backend: str = "auto") -> Tensor:
    """How close each example of a minibatch is to the others, under several learned kernels.

    o_i = sum over j of exp(-||M_i - M_j||_1) (Salimans et al. 2016, section 3.2), a number an example and kernel. A
    discriminator that sees it tells a generator that has collapsed from the data by their lack of diversity.
    Replaces the eager expression
    ``torch.exp(-(features.unsqueeze(1) - features).abs().sum(-1)).sum(1)``, whose differences of all pairs,
    ``[batch, batch, kernels, dims]``, are never stored: memory grows with the batch, not with its square. Every backend
    streams over the other examples, forward and backward; the CPU kernels visit each pair once. A backward that is
    itself recorded (``create_graph=True``) is plain torch, and does store them.

    Args:
        features: ``[batch, kernels, dims]``, the M of the paper: each example's features times the learned tensor T;
            float16, bfloat16, float32 or float64. See :class:`deepgen_fast.nn.MinibatchDiscrimination` for both.
        include_self: whether the sum has the term j = i. The paper's equation counts it, its authors' code does not.
            It is the constant 1, whatever the features, without gradient; the layer that follows absorbs it in its
            bias. False (default) leaves it out: beside it the similarity of distinct examples would lose its digits.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Returns:
        ``[batch, kernels]``, float32 (float64 for float64 features), accumulated so whatever the features.

    Raises:
        TypeError: features is not a tensor or has another dtype, or include_self is not a bool.
        ValueError: features does not have three dimensions, or an unknown backend.
        RuntimeError: the backend asked for cannot run here; says why.

    Example:
        >>> minibatch_discrimination(torch.zeros(3, 1, 2))
        tensor([[2.],
                [2.],
                [2.]])
    """
    if symbolic(features):
        return reference.minibatch_discrimination(features, include_self)
    checks.check_floating("features", features)
    if features.dim() != 3:
        raise ValueError(f"features must have shape [batch, kernels, dims], got {list(features.shape)}")
    checks.check_flag("include_self", include_self)
    return apply_function(MinibatchDiscrimination, features, include_self, backends.choose(backend, features.device))
