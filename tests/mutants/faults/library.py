"""Models, objectives, metrics and data."""

from mutants.fault import Fault

_MODELS, _OBJECTIVES, _METRICS, _DATA = (f"deepgen_fast/{part}" for part in ("models", "objectives", "metrics", "data"))

FAULTS = (
    # ---- models ----
    Fault(
        f"{_MODELS}/posterior.py",
        "return 0.5 * (noise.to(dtype).square() - z.to(dtype).square() + wide.log_variance()).sum(-1)",
        "return 0.5 * (noise.to(dtype).square() - z.to(dtype).square() - wide.log_variance()).sum(-1)",
        "tests/models/test_vae.py tests/metrics/test_importance.py",
    ),
    Fault(
        f"{_MODELS}/structured_posterior.py",
        "return self.logvar.sum(-1) - torch.log1p(s).squeeze(-1)",
        "return self.logvar.sum(-1) + torch.log1p(s).squeeze(-1)",
        "tests/models/test_structured_posterior.py",
    ),
    Fault(
        f"{_MODELS}/laplacian_pyramid.py",
        'F.pad(images.reshape(batch * channels, 1, height, width), (2, 2, 2, 2), mode="replicate")',
        'F.pad(images.reshape(batch * channels, 1, height, width), (2, 2, 2, 2), mode="constant")',
        "tests/models/test_laplacian_pyramid.py",
    ),
    Fault(
        f"{_MODELS}/vae.py",
        "return self.likelihood.mean(self.decode(self.latent_of(self.encode(x).mean, x)))",
        "return self.decode(self.latent_of(self.encode(x).mean, x))",
        "tests/models/test_vae.py",
    ),
    # ---- objectives ----
    Fault(
        f"{_OBJECTIVES}/elbo.py",
        "return self.beta * step / self.warmup_steps",
        "return self.beta * (step + 1) / self.warmup_steps",
        "tests/objectives/test_vae_objectives.py",
    ),
    Fault(
        f"{_OBJECTIVES}/elbo.py",
        "return ELBO(num_samples=self.num_samples)",
        "return self",
        "tests/objectives/test_vae_objectives.py tests/training/test_vae_trainer.py",
    ),
    Fault(
        f"{_OBJECTIVES}/elbo.py",
        "bound = torch.logsumexp(log_weight, dim=0) - math.log(self.num_samples)",
        "bound = torch.logsumexp(log_weight, dim=0)",
        "tests/objectives/test_vae_objectives.py",
    ),
    Fault(
        f"{_OBJECTIVES}/adversarial.py",
        '"hinge": Game((_HINGE, 1.0), (_HINGE, -1.0), (_LINEAR, 1.0))',
        '"hinge": Game((_HINGE, 1.0), (_HINGE, -1.0), (_HINGE, 1.0))',
        "tests/objectives/test_adversarial.py",
    ),
    Fault(
        f"{_OBJECTIVES}/adversarial.py",
        "return 1.0 - label_smoothing if term[1] is None else term[1]",
        "return 1.0 - label_smoothing",
        "tests/objectives/test_adversarial.py",
    ),
    Fault(
        f"{_OBJECTIVES}/gradient_penalties.py",
        "torch.lerp(fake.detach().to(real.dtype), real.detach(), place)",
        "torch.lerp(fake.detach().to(real.dtype), real.detach(), place.mean())",
        "tests/objectives/test_gradient_penalties.py",
    ),
    Fault(
        f"{_OBJECTIVES}/mutual_information.py",
        "return log_q + mean.shape[1] * math.log(2.0)",
        "return log_q + math.log(2.0)",
        "tests/objectives/test_mutual_information.py",
    ),
    Fault(
        f"{_OBJECTIVES}/entropies.py",
        "value = certain.mean() - marginal - uncertain.mean()",
        "value = certain.mean() - marginal + uncertain.mean()",
        "tests/objectives/test_entropies.py tests/models/test_catgan.py",
    ),
    # ---- metrics ----
    Fault(
        f"{_METRICS}/frechet.py",
        "self._scatter.addr_(difference, difference, alpha=self.count * batch / total)",
        "self._scatter.addr_(difference, difference, alpha=self.count / total)",
        "tests/metrics/test_frechet.py",
    ),
    Fault(f"{_METRICS}/kernel.py", "/ (m * (m - 1))", "/ (n * (m - 1))", "tests/metrics/test_kernel.py"),
    Fault(
        f"{_METRICS}/neighbors.py",
        'distances[own, own + start] = float("inf")',
        'distances[own, own] = float("inf")',
        "tests/metrics/test_neighbors.py",
    ),
    Fault(
        f"{_METRICS}/importance.py",
        "return total - math.log(num_samples)",
        "return total - math.log(chunk_size)",
        "tests/metrics/test_importance.py",
    ),
    Fault(
        f"{_METRICS}/classes.py",
        "log_marginal = part.logsumexp(dim=0) - math.log(part.shape[0])",
        "log_marginal = part.mean(dim=0)",
        "tests/metrics/test_classes.py",
    ),
    Fault(
        f"{_METRICS}/bits.py",
        "correction = -math.log2(bin_width)",
        "correction = math.log2(bin_width)",
        "tests/metrics/test_bits.py",
    ),
    # ---- data ----
    Fault(
        f"{_DATA}/batches.py",
        "return count // batch_size if drop_last else -(-count // batch_size)",
        "return count // batch_size",
        "tests/data/test_batches.py",
    ),
    Fault(
        f"{_DATA}/batches.py",
        "order = torch.randperm(self.num_examples, generator=self.generator).to(self.tensor.device)",
        "order = torch.randperm(self.num_examples).to(self.tensor.device)",
        "tests/data/test_batches.py",
    ),
    Fault(
        f"{_DATA}/splits.py",
        "order = order[torch.sort(labels[order], stable=True).indices]",
        "pass",
        "tests/data/test_splits.py",
    ),
    Fault(f"{_DATA}/splits.py", "free[chosen] = False", "pass", "tests/data/test_splits.py"),
    Fault(
        f"{_DATA}/binarization.py",
        "return torch.bernoulli(x, generator=generator)",
        "return torch.bernoulli(x)",
        "tests/data tests/training/test_vae_trainer.py",
    ),
)
