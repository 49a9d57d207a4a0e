"""The sentence VAE."""

from __future__ import annotations

from deepgen_fast.config.from_signature import with_defaults
from deepgen_fast.config.sections import TrainerConfig
from deepgen_fast.config.sentences import SentenceDataConfig
from deepgen_fast.models import sentence_vae
from deepgen_fast.objectives import SentenceELBO
from deepgen_fast.systems.variational import variational_system

variational_system(
    "sentence-vae",
    "sentence VAE",
    SentenceELBO,
    settings=with_defaults(
        TrainerConfig, epochs=16, batch_size=32, learning_rate=4e-3, schedule="cosine", gradient_clip=5.0
    ),
    binarizes=False,
    examples=("--data lines.txt --min-count 3 --ema-decay 0.999",),
    data=SentenceDataConfig,
)(sentence_vae)
