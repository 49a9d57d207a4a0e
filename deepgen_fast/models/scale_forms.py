"""How an encoder states sigma.

A form is what ``reparameterize_kl`` and ``negative_elbo`` take (``logvar=``, ``std=`` or ``pre_softplus=``);
a choice of a model adds the activation on top of the encoder's last linear layer, a = W3 h + b3:

=====================  ==================  ============================================================
choice                 handed on           sigma
=====================  ==================  ============================================================
``logvar`` (default)   logvar = a          exp(a / 2)
``std``                std = softplus(a)   softplus(a), computed in the model
``pre_softplus``       pre_softplus = a    softplus(a), computed in the op: the usual reading of (13.10)
``softplus_sigmoid``   pre_softplus =      softplus(sigmoid(a)): (13.10) as printed, which keeps sigma
                       sigmoid(a)          between 0.693 and 1.313
=====================  ==================  ============================================================
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

SCALE_FORMS = ("logvar", "std", "pre_softplus")

_CHOICES: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "logvar": ("logvar", nn.Identity),
    "std": ("std", nn.Softplus),
    "pre_softplus": ("pre_softplus", nn.Identity),
    "softplus_sigmoid": ("pre_softplus", nn.Sigmoid),
}


def build_scale_form(scale: str) -> tuple[str, nn.Module]:
    """``(form, activation)`` of a choice.

    Raises:
        ValueError: for an unknown choice.
    """
    if scale not in _CHOICES:
        raise ValueError(f"scale: expected one of {', '.join(_CHOICES)}, got {scale!r}")
    form, activation = _CHOICES[scale]
    return form, activation()
