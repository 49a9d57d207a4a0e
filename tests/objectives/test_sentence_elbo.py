"""The sentence VAE's objective: the annealed weight, the words hidden, and the bound."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.data import Vocabulary
from deepgen_fast.data.vocabulary import EOS, PAD, SPECIAL, UNK
from deepgen_fast.models import SentenceVAE
from deepgen_fast.objectives import SentenceELBO


@pytest.fixture
def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(4, 24, (400, 12), generator=generator)
    lengths = torch.randint(1, 12, (400, 1), generator=generator)
    places = torch.arange(12)
    return torch.where(places < lengths, rows, torch.where(places == lengths, EOS, PAD))


class Recorder:
    """Gives what it is asked for a constant, and keeps what it was shown."""

    def __call__(self, x, generator=None, shown=None):
        from deepgen_fast.models.sentence_vae import SentenceOutput

        self.shown = shown
        return SentenceOutput(None, torch.full((len(x),), 2.0), torch.arange(float(len(x))).neg(), None)


def test_the_weight_of_the_kl():
    linear, sigmoid = SentenceELBO("linear", 100), SentenceELBO("sigmoid", 100)
    assert [linear.beta_at(step) for step in (0, 25, 100, 1000)] == [0.0, 0.25, 1.0, 1.0]
    assert sigmoid.beta_at(50) == 0.5
    assert sigmoid.beta_at(0) == pytest.approx(1 / (1 + math.exp(5)))
    assert sigmoid.beta_at(100) == pytest.approx(0.99331, abs=1e-5)
    steps = [sigmoid.beta_at(step) for step in range(200)]
    assert steps == sorted(steps) and all(
        weight + other == pytest.approx(1.0) for weight, other in zip(steps[:101], reversed(steps[:101]), strict=True)
    )
    assert sigmoid.beta_at(10**9) == 1.0
    for objective in (linear, sigmoid, SentenceELBO("none")):
        assert objective.beta_at(None) == 1.0
    assert SentenceELBO("none").beta_at(0) == 1.0


def test_the_value_is_the_batch_mean_of_sums_over_sentences(rows):
    loss = SentenceELBO("linear", 100, word_dropout=0.0)(Recorder(), rows[:5], step=25)
    assert float(loss.value) == pytest.approx(0.25 * 2.0 + (0 + 1 + 2 + 3 + 4) / 5)
    assert loss.kl.tolist() == [2.0] * 5 and loss.log_likelihood.tolist() == [0.0, -1.0, -2.0, -3.0, -4.0]


def test_words_are_hidden_with_their_probability(rows):
    model, generator = Recorder(), torch.Generator().manual_seed(1)
    SentenceELBO(word_dropout=0.3)(model, rows, step=0, generator=generator)
    words = rows > EOS
    hidden = (model.shown == UNK) & words
    count = int(words.sum())
    assert abs(int(hidden.sum()) - 0.3 * count) < 4 * math.sqrt(0.3 * 0.7 * count)
    assert torch.equal(model.shown[~hidden], rows[~hidden])
    assert not torch.equal(hidden[0], hidden[1])
    first = model.shown
    SentenceELBO(word_dropout=0.3)(model, rows, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, model.shown)
    SentenceELBO(word_dropout=1.0)(model, rows)
    assert torch.equal(model.shown, torch.where(words, UNK, rows))


def test_validation_shows_every_word_at_the_full_weight(rows):
    model = Recorder()
    objective = SentenceELBO("sigmoid", 100, 0.5).for_validation()
    loss = objective(model, rows[:2], step=0)
    assert model.shown is None and float(loss.value) == 2.5


def test_hidden_words_leave_the_posterior_and_the_targets(rows):
    torch.manual_seed(0)
    words = Vocabulary((*SPECIAL, *map(str, range(20))))
    model = SentenceVAE(words, 12, embedding_dim=4, hidden_dim=5, latent_dim=2, dropout=0.0)
    losses = [
        SentenceELBO("none", word_dropout=rate)(model, rows, generator=torch.Generator().manual_seed(2))
        for rate in (0.0, 1.0)
    ]
    torch.testing.assert_close(losses[0].kl, losses[1].kl)
    assert not torch.allclose(losses[0].log_likelihood, losses[1].log_likelihood)
    assert losses[0].value.requires_grad and not losses[0].kl.requires_grad


def test_bad_arguments_are_named():
    for wrong, message in (
        ({"annealing": "cosine"}, "annealing: expected sigmoid, linear or none, got 'cosine'"),
        ({"annealing_steps": 0}, "annealing_steps: expected at least 1, got 0"),
        ({"word_dropout": 1.5}, r"word_dropout: expected a number in \[0, 1\], got 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            SentenceELBO(**wrong)
