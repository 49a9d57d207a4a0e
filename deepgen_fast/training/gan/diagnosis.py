"""What goes wrong between the two players of a GAN, found in the records of epochs and said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Validated epochs in a row that must show it: players swing.
PATIENCE = 3

_EARLY = 500  # steps before which nothing is said: untrained players look like collapsed ones
_SURE = 0.99  # right answers, of both kinds: nothing left to learn from
_LOST = 0.05  # right answers on generated examples
_NARROW_SPREAD = 0.5
_NARROW_DISTINCTNESS = 0.3
_BY_HEART = 0.25  # right answers on training examples more than on held-out ones

Record = Mapping[str, Any]


def _discriminator_wins(record: Record) -> bool:
    return min(record.get("discriminator_real_accuracy", 0.0), record.get("discriminator_fake_accuracy", 0.0)) > _SURE


def _generator_wins(record: Record) -> bool:
    return record.get("discriminator_fake_accuracy", 1.0) < _LOST


def _collapsed(record: Record) -> bool:
    return record.get("spread", 1.0) < _NARROW_SPREAD


def _copies(record: Record) -> bool:
    return record.get("distinctness", 1.0) < _NARROW_DISTINCTNESS


def _by_heart(record: Record) -> bool:
    held_out = record.get("validation_discriminator_real_accuracy")
    return held_out is not None and record["discriminator_real_accuracy"] - held_out > _BY_HEART


_FINDINGS = {
    "discriminator_wins": (
        _discriminator_wins,
        "the discriminator is winning: it tells {discriminator_real_accuracy:.1%} of real and "
        "{discriminator_fake_accuracy:.1%} of generated examples right, so the generator learns little (its loss is "
        "{generator_loss:.1f}). Lower trainer.discriminator_learning_rate or trainer.discriminator_steps, set "
        "objective.label_smoothing (0.1) or objective.r1 (1 to 10), or make the discriminator smaller",
    ),
    "generator_wins": (
        _generator_wins,
        "the discriminator is losing: it takes all but {discriminator_fake_accuracy:.1%} of generated examples for "
        "real, and tells the generator nothing. Raise trainer.discriminator_steps or "
        "trainer.discriminator_learning_rate",
    ),
    "mode_collapse": (
        _collapsed,
        "mode collapse: generated examples lie {spread:.2f} times as far apart as real ones. Look at samples/; lower "
        "trainer.learning_rate, raise trainer.discriminator_steps, or set objective.r1 (1 to 10)",
    ),
    "copies": (
        _copies,
        "mode collapse: the nearest of the other generated examples is {distinctness:.2f} times as far as among real "
        "ones: the same few come again and again. Look at samples/; raise trainer.discriminator_steps, or set "
        "objective.r1 (1 to 10)",
    ),
    "by_heart": (
        _by_heart,
        "the discriminator knows the training data by heart: it takes {discriminator_real_accuracy:.1%} of them for "
        "real, but {validation_discriminator_real_accuracy:.1%} of held-out ones. More data, a smaller discriminator "
        "or objective.r1 (1 to 10) help",
    ),
}


def diagnose(records: Sequence[Record]) -> list[str]:
    """Names of what the last ``PATIENCE`` epochs all show, the last of ``records`` being the present.

    Args:
        records: of epochs, in order; those that were not validated do not count.
    """
    recent = [record for record in records if "spread" in record and record["step"] >= _EARLY][-PATIENCE:]
    if len(recent) < PATIENCE:
        return []
    found = [name for name, (shows, _) in _FINDINGS.items() if all(shows(record) for record in recent)]
    return [name for name in found if name != "copies" or "mode_collapse" not in found]


def remarks(records: Sequence[Record]) -> list[str]:
    """What is new at the last epoch, in words: a finding that begins, or one that has gone."""
    now, before = diagnose(records), diagnose(records[:-1])
    epoch = records[-1]["epoch"]
    begun = [f"epoch {epoch}: {_FINDINGS[name][1].format(**records[-1])}" for name in now if name not in before]
    gone = [f"epoch {epoch}: no longer so: {name.replace('_', ' ')}" for name in before if name not in now]
    return begun + gone
