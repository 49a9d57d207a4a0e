"""p(x|z) of sentences: an LSTM that reads z beside every word."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.data.vocabulary import BOS, EOS, PAD, UNK


class SentenceDecoder(nn.Module):
    """p(x|z) = prod_t p(x_t | x_<t, z), the words one after another and then ``EOS`` (Bowman et al. 2015, section 3).

    z makes the LSTM's initial state, h_0 = tanh(W z + b) and c_0 = V z + c, and stands beside the embedding of every
    word that it reads. Without z (``latent_dim=0``) it is a recurrent language model, whose initial state is 0.

    Args:
        num_words: size of the vocabulary.
        embedding_dim: dimension of a word's embedding.
        hidden_dim: units of the LSTM.
        latent_dim: dimension of the latent z.
        dropout: dropout of embeddings and of the states that words are predicted from, in training.
    """

    def __init__(self, num_words: int, embedding_dim: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_words, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.initial_state = nn.Linear(latent_dim, 2 * hidden_dim) if latent_dim else None
        self.lstm = nn.LSTM(embedding_dim + latent_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, num_words)

    def embed(self, words: Tensor) -> Tensor:
        """``[..., embedding_dim]`` of the numbers of words ``[...]``."""
        return self.dropout(self.embedding(words))

    def log_likelihood(self, z: Tensor, target: Tensor, read: Tensor) -> Tensor:
        """log p(x|z) ``[N]`` in nats, in float32 or wider, summed over each sentence's words and ``EOS``.

        Args:
            z: ``[N, latent_dim]``; N is B, or M times B with the sentences repeated.
            target: int64 ``[B, T]``: words, ``EOS``, ``PAD``.
            read: int64 ``[B, T]``, what the decoder reads before each of them: ``BOS`` and the words.
        """
        repeats = len(z) // max(1, len(target))
        states, _ = self.lstm(_beside(self.embed(read).repeat(repeats, 1, 1), z), self._initial(z))
        # The softmax is the larger part of the work: none of it for padding.
        target = target.repeat(repeats, 1)
        valid = target != PAD
        logits = self.output(self.dropout(states[valid]))
        wide = torch.promote_types(logits.dtype, torch.float32)
        terms = -F.cross_entropy(logits.to(wide), target[valid], reduction="none")
        return terms.new_zeros(valid.shape).masked_scatter(valid, terms).sum(1)

    @torch.no_grad()
    def decode(self, z: Tensor, length: int, generator: torch.Generator | None, *, greedy: bool) -> Tensor:
        """Sentences int64 ``[N, length]`` of ``z [N, latent_dim]``: words, ``EOS``, ``PAD``.

        ``UNK``, ``BOS`` and ``PAD`` are left out of the choice; after ``length - 1`` words a sentence ends. There is no
        beam search.

        Args:
            z: on the model's device.
            length: of a row.
            generator: of the words drawn; torch's default generator when None.
            greedy: whether to take the likeliest word at each place, or to draw it from p(x_t | x_<t, z).
        """
        rows = torch.full((len(z), length), PAD, device=z.device)
        word = torch.full((len(z),), BOS, device=z.device)
        ended = torch.zeros_like(word, dtype=torch.bool)
        state = self._initial(z)
        for place in range(length):
            states, state = self.lstm(_beside(self.embedding(word).unsqueeze(1), z), state)
            logits = self.output(states[:, 0]).float()
            logits[:, [PAD, BOS, UNK]] = -torch.inf
            if place == length - 1:
                word = torch.full_like(word, EOS)
            elif greedy:
                word = logits.argmax(-1)
            else:
                word = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
            rows[:, place] = torch.where(ended, PAD, word)
            ended |= word == EOS
            if ended.all():
                break
        return rows

    def _initial(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """h_0 and c_0, each ``[1, N, hidden_dim]``."""
        if self.initial_state is None:
            return None
        hidden, cell = self.initial_state(z).chunk(2, dim=-1)
        return torch.tanh(hidden).unsqueeze(0), cell.unsqueeze(0).contiguous()


def _beside(embedded: Tensor, z: Tensor) -> Tensor:
    """``[N, T, embedding_dim + latent_dim]``: z beside every word."""
    return torch.cat([embedded, z.unsqueeze(1).expand(-1, embedded.shape[1], -1)], -1)
