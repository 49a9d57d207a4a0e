"""Seeds of a run, each a pure function of the run's seed, a purpose and an index.

The noise of step k and the order of epoch e depend on nothing else. So a run that resumes at step k goes on
as if it had never stopped, and nothing about these generators needs to be stored.
"""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit seed. Distinct purposes and indices give unrelated seeds."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def reseed(generator: torch.Generator, seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Set ``generator`` to the start of the stream of ``derive_seed``, and return it."""
    return generator.manual_seed(derive_seed(seed, purpose, index))
