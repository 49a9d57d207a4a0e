"""The sentence VAE of Bowman, Vilnis, Vinyals, Dai, Jozefowicz and Bengio, "Generating sentences from a continuous
space", 2015."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deepgen_fast.data.sentences import check_sentences
from deepgen_fast.data.vocabulary import BOS, PAD, Vocabulary
from deepgen_fast.models.generative_model import GenerativeModel
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.sentence_decoder import SentenceDecoder
from deepgen_fast.random import BatchNoise

_SHOWN = 10  # samples


class SentenceOutput(NamedTuple):
    """One pass: ``z [(M,)B, latent_dim]``, ``kl [B]``, ``log_likelihood [(M,)B]`` of the sentences, posterior."""

    z: Tensor
    kl: Tensor
    log_likelihood: Tensor
    posterior: Posterior


class SentenceVAE(GenerativeModel):
    """A VAE of sentences: LSTM encoder, Gaussian z, LSTM decoder (sections 3 and 3.1).

    q(z|x) = N(mu(h), sigma(h)^2), h the encoder's state at the end of the sentence; p(x|z) is ``SentenceDecoder``; the
    prior is N(0, I). Sentences are int64 ``[B, T]``: words, ``EOS``, ``PAD``; a batch is cut to its longest sentence.
    Left out: highway layers between encoder, z and decoder, which the paper found of little use.

    With ``latent_dim=0`` it is the paper's baseline, the recurrent language model: no encoder, no z, a KL of 0, and a
    bound that is log p(x) itself.

    Args:
        vocabulary: what the numbers of words mean.
        length: T; a sentence has at most T - 1 words.
        embedding_dim: dimension of a word's embedding; encoder and decoder share the table, ``decoder.embedding``.
        hidden_dim: units of each LSTM.
        latent_dim: dimension of the latent z.
        dropout: dropout of embeddings and of the decoder's states, in training; not the paper's word dropout, which is
            the objective's.

    Raises:
        ValueError: for a size or a dropout out of its range.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        length: int,
        embedding_dim: int = 64,
        hidden_dim: int = 128,
        latent_dim: int = 16,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        least = {"length": (length, 2), "embedding_dim": (embedding_dim, 1), "hidden_dim": (hidden_dim, 1)}
        for name, (size, bound) in {**least, "latent_dim": (latent_dim, 0)}.items():
            if size < bound:
                raise ValueError(f"{name}: expected at least {bound}, got {size}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: expected a number in [0, 1), got {dropout}")
        self.vocabulary = vocabulary
        self.event_shape = (length,)
        self.latent_dim = latent_dim
        self.decoder = SentenceDecoder(len(vocabulary), embedding_dim, hidden_dim, latent_dim, dropout)
        self.encoder = nn.LSTM(embedding_dim, hidden_dim, batch_first=True) if latent_dim else None
        self.posterior = nn.Linear(hidden_dim, 2 * latent_dim) if latent_dim else None

    @property
    def keep_in_fp32_modules(self) -> tuple[nn.Module, ...]:
        """None stays in float32."""
        return ()

    def extra_repr(self) -> str:
        return f"{self.vocabulary!r}, length={self.event_shape[0]}, latent_dim={self.latent_dim}"

    def encode(self, x: Tensor) -> Posterior:
        """q(z|x) for ``x [B, T]``.

        Raises:
            ValueError: when the shape of ``x`` is another.
            TypeError: when ``x`` is not int64.
        """
        self._check(x)
        if self.encoder is None or self.posterior is None:
            nothing = self.decoder.output.weight.new_zeros(len(x), 0)
            return Posterior(nothing, nothing, "logvar")
        lengths = (x != PAD).sum(1)
        states, _ = self.encoder(self.decoder.embed(x[:, : int(lengths.max())]))
        # An LSTM does not look ahead: its state at EOS is the same whatever padding follows.
        mean, logvar = self.posterior(states[torch.arange(len(x), device=x.device), lengths - 1]).chunk(2, dim=-1)
        return Posterior(mean, logvar, "logvar")

    def log_likelihood(self, z: Tensor, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """log p(x|z) ``[(M,)B]`` in nats, in float32 or wider, of ``x [B, T]`` for ``z [(M,)B, latent_dim]``.

        Args:
            shown: ``[B, T]``, what the decoder reads in place of the words before; ``x`` itself when None.
        """
        self._check(x)
        longest = int((x != PAD).sum(1).max())
        read = torch.cat([torch.full_like(x[:, :1], BOS), (x if shown is None else shown)[:, : longest - 1]], 1)
        terms = self.decoder.log_likelihood(z.reshape(z.shape[:-1].numel(), self.latent_dim), x[:, :longest], read)
        return terms.view(z.shape[:-1])

    def forward(
        self,
        x: Tensor,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> SentenceOutput:
        """Encode, draw z = mean + sigma * eps, and give the log-likelihood of the sentences.

        Args:
            x, num_samples, generator, noise: as in ``VAE.forward``.
            shown: what the decoder reads; see ``log_likelihood``.
        """
        posterior = self.encode(x)
        z, kl = posterior.draw(num_samples, noise, generator)
        return SentenceOutput(z, kl, self.log_likelihood(z, x, shown), posterior)

    def decode(self, z: Tensor, generator: torch.Generator | None = None, *, greedy: bool = True) -> Tensor:
        """Sentences ``[N, T]`` of ``z [N, latent_dim]``, greedily or drawn from p(x|z); see ``SentenceDecoder``."""
        return self.decoder.decode(z, self.event_shape[0], generator, greedy=greedy)

    def latent_of(self, z: Tensor, x: Tensor) -> Tensor:
        """What ``decode`` takes for ``z``: z itself."""
        return z

    def draw_latent(self, count: int, noise: BatchNoise | None = None) -> Tensor:
        """z ~ N(0, I), ``[count, latent_dim]``."""
        return (noise or BatchNoise()).normal((count, self.latent_dim), self.decoder.output.weight)

    def sample(self, n: int, generator: torch.Generator | None = None, *, greedy: bool = True) -> Tensor:
        """Sentences ``[n, T]`` of ``n`` draws of the prior."""
        return self.decode(self.draw_latent(n, BatchNoise(generator)), generator, greedy=greedy)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """``[B, T]``: the greedy decoding of z = E[z|x] of ``x [B, T]``."""
        return self.decode(self.encode(x).mean)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 2 or tuple(x.shape[1:]) != self.event_shape or not len(x):
            raise ValueError(f"x: expected shape [batch, {self.event_shape[0]}], got {list(x.shape)}")
        if x.dtype != torch.int64:
            raise TypeError(f"x: expected int64 numbers of words, got {x.dtype}")

    # What a trainer asks.

    def check_data(self, examples: Tensor, name: str) -> None:
        """Check that ``examples [N, T]`` are sentences of this vocabulary.

        Raises:
            DataError: for another dtype, a number that is no word's, or a row that does not end.
        """
        check_sentences(examples, len(self.vocabulary), name=name)

    def previews(self, generator: torch.Generator, examples: Tensor | None = None) -> dict[str, str]:
        """What a run shows as the model trains: sentences drawn, and held-out ones with their reconstructions."""
        samples = self.sample(_SHOWN, generator, greedy=False)
        shown = {"samples": "\n".join(self.vocabulary.decode(samples))}
        if examples is not None:
            shown["reconstructions"] = self.vocabulary.pairs(examples, self.reconstruct(examples))
        return shown


def sentence_vae(
    event_shape: Sequence[int],
    vocabulary: str | None = None,
    embedding_dim: int = 64,
    hidden_dim: int = 128,
    latent_dim: int = 16,
    dropout: float = 0.1,
) -> SentenceVAE:
    """``SentenceVAE`` from plain values, as a config holds them.

    Args:
        event_shape: ``(T,)``.
        vocabulary: all words in order; the data's if unset.
        embedding_dim: dimension of a word's embedding.
        hidden_dim: units of each LSTM.
        latent_dim: dimension of the latent z; 0 makes a recurrent language model.
        dropout: dropout of embeddings and decoder states.

    Raises:
        ValueError: when there is no vocabulary, or for an argument out of its range.
    """
    if vocabulary is None:
        raise ValueError("vocabulary: neither the model's config nor the data says which words there are")
    (length,) = event_shape
    return SentenceVAE(Vocabulary(vocabulary), length, embedding_dim, hidden_dim, latent_dim, dropout)
