"""The sentence VAE: its likelihood is that of its words, and its sentences come from z."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.data import DataError, Vocabulary
from deepgen_fast.data.vocabulary import BOS, EOS, PAD, SPECIAL, UNK
from deepgen_fast.models import SentenceVAE, sentence_vae

WORDS = Vocabulary((*SPECIAL, *"abcdefg"))
ROWS = torch.tensor(
    [[4, 5, 6, EOS, PAD, PAD, PAD], [7, EOS, PAD, PAD, PAD, PAD, PAD], [4, 4, UNK, 9, 10, EOS, PAD]], dtype=torch.int64
)


def model(latent_dim: int = 3, dropout: float = 0.0, seed: int = 0) -> SentenceVAE:
    torch.manual_seed(seed)
    made = SentenceVAE(WORDS, 7, embedding_dim=5, hidden_dim=6, latent_dim=latent_dim, dropout=dropout)
    return made.double()


@torch.no_grad()
def next_words(vae: SentenceVAE, z: torch.Tensor, words: list[int]) -> torch.Tensor:
    """log p(. | words, z), ``[len(WORDS)]``: the LSTM a step at a time."""
    decoder, state = vae.decoder, None
    if decoder.initial_state is not None:
        hidden, cell = decoder.initial_state(z).chunk(2)
        state = (hidden.tanh().unsqueeze(0), cell.unsqueeze(0))
    for word in (BOS, *words):
        read = torch.cat([decoder.embedding.weight[word], z]).unsqueeze(0)
        output, state = decoder.lstm(read, state)
    return decoder.output(output[0]).log_softmax(-1)


def by_hand(vae: SentenceVAE, z: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """log p(x|z) of one sentence."""
    words = row[: int((row == EOS).nonzero()[0]) + 1].tolist()
    return sum(next_words(vae, z, words[:place])[word] for place, word in enumerate(words))


@pytest.mark.parametrize("latent_dim", [0, 3])
def test_log_likelihood_is_the_sum_over_words_and_end(latent_dim):
    vae = model(latent_dim)
    z = torch.randn(2, 3, latent_dim, dtype=torch.float64)
    expected = torch.stack([torch.stack([by_hand(vae, z[m, b], ROWS[b]) for b in range(3)]) for m in range(2)])
    torch.testing.assert_close(vae.log_likelihood(z, ROWS), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(vae.log_likelihood(z[1], ROWS), expected[1], rtol=1e-12, atol=1e-12)


def test_padding_and_neighbors_change_nothing():
    vae = model()
    noise = torch.randn(3, 3, dtype=torch.float64)
    whole = vae(ROWS, noise=noise)
    for index in range(3):
        alone = vae(ROWS[index : index + 1], noise=noise[index : index + 1])
        for name in ("kl", "log_likelihood", "z"):
            torch.testing.assert_close(getattr(alone, name)[0], getattr(whole, name)[index], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(whole.z, whole.posterior.mean + whole.posterior.std() * noise)
    expected_kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(whole.posterior.mean, whole.posterior.std()),
        torch.distributions.Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)),
    ).sum(1)
    torch.testing.assert_close(whole.kl, expected_kl)


def test_what_is_shown_is_read_and_not_predicted():
    vae = model()
    z = torch.randn(3, 3, dtype=torch.float64)
    hidden = torch.where(ROWS > UNK, UNK, ROWS)
    decoder = vae.decoder
    read = torch.cat([torch.full((3, 1), BOS), hidden[:, :-1]], 1)
    expected = decoder.log_likelihood(z, ROWS, read)
    torch.testing.assert_close(vae.log_likelihood(z, ROWS, shown=hidden), expected)
    assert not torch.allclose(expected, vae.log_likelihood(z, ROWS))


def test_gradients_reach_every_parameter():
    for latent_dim in (0, 3):
        vae = model(latent_dim)
        output = vae(ROWS)
        (output.kl - output.log_likelihood).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.parameters()), latent_dim


def test_without_z_it_is_a_language_model():
    vae = model(0)
    output = vae(ROWS, num_samples=2)
    assert output.z.shape == (2, 3, 0) and output.kl.tolist() == [0.0] * 3
    torch.testing.assert_close(output.log_likelihood[0], output.log_likelihood[1])
    assert vae.encoder is None and vae.sample(4).shape == (4, 7)


def test_decoded_sentences_end_and_have_no_special_words():
    vae, generator = model(), torch.Generator().manual_seed(0)
    rows = torch.cat([vae.sample(200, generator, greedy=greedy) for greedy in (True, False)])
    assert rows.shape == (400, 7) and rows.dtype == torch.int64
    vae.check_data(rows, "decoded")
    assert not torch.isin(rows, torch.tensor([BOS, UNK])).any()
    assert (rows[:, -1] == EOS).any() and (rows[:, 0] == EOS).any()  # the longest, and empty ones
    again = vae.sample(200, torch.Generator().manual_seed(0), greedy=True)
    assert torch.equal(rows[:200], again)


ALLOWED = [EOS, *range(4, len(WORDS))]


def test_greedy_decoding_takes_the_likeliest_word_each_time():
    vae, z = model(seed=3), torch.randn(20, 3, dtype=torch.float64)
    rows = vae.decode(z)
    for row, code in zip(rows, z, strict=True):
        end = int((row == EOS).nonzero()[0])
        for place in range(min(end + 1, 6)):
            scores = next_words(vae, code, row[:place].tolist())[ALLOWED]
            assert ALLOWED[int(scores.argmax())] == row[place]
    assert len(rows.unique(dim=0)) > 1


def test_drawn_words_have_the_decoders_probabilities():
    vae, count = model(), 20_000
    z = torch.randn(1, 3, dtype=torch.float64).expand(count, -1)
    rows = vae.decode(z, torch.Generator().manual_seed(1), greedy=False)
    after = rows[rows[:, 0] == 5][:, 1]
    for words, start in ((rows[:, 0], []), (after, [5])):
        probabilities = next_words(vae, z[0], start)[ALLOWED].softmax(0)
        for word, probability in zip(ALLOWED, probabilities.tolist(), strict=True):
            spread = math.sqrt(probability * (1 - probability) / len(words))
            assert abs((words == word).double().mean().item() - probability) < 4 * spread, word


def test_exhibits_are_text():
    vae = model()
    shown = vae.previews(torch.Generator().manual_seed(0), ROWS)
    assert len(shown["samples"].splitlines()) == 10
    lines = shown["reconstructions"].splitlines()
    assert lines[0::2] == ["a b c", "d", "a a <unk> f g"] and all(line.startswith("    ") for line in lines[1::2])
    assert set(vae.previews(torch.Generator().manual_seed(0))) == {"samples"}


def test_bad_arguments_are_named():
    vae = model()
    with pytest.raises(ValueError, match=r"x: expected shape \[batch, 7\], got \[3, 6\]"):
        vae.encode(ROWS[:, :6])
    with pytest.raises(TypeError, match=r"x: expected int64 numbers of words, got torch\.float32"):
        vae.encode(ROWS.float())
    for wrong, message in (
        ({"length": 1}, "length: expected at least 2, got 1"),
        ({"latent_dim": -1}, "latent_dim: expected at least 0, got -1"),
        ({"hidden_dim": 0}, "hidden_dim: expected at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout: expected a number in \[0, 1\), got 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            SentenceVAE(WORDS, **{"length": 7, **wrong})
    for rows, message in (
        (ROWS.float(), "expected sentences, int64 numbers of words, got torch.float32"),
        (ROWS + 7, "expected numbers of words from 0 to 10, got 7 to 17"),
        (ROWS[:, :3], "expected rows of words, one <eos> and then <pad>"),
        (ROWS.flip(1), "expected rows of words, one <eos> and then <pad>"),
    ):
        with pytest.raises(DataError, match=f"train: {message}"):
            vae.check_data(rows, "train")


def test_the_builder_takes_the_words_as_one_text():
    built = sentence_vae((7,), WORDS.text, embedding_dim=5, hidden_dim=6, latent_dim=3)
    built.load_state_dict(model().state_dict())
    assert built.vocabulary == WORDS and built.event_shape == (7,)
