"""What two processes do in ``test_distributed.py``; each writes what it found to a folder."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import signals
import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepgen_fast.models import conditional_vae, dcgan, two_layer_vae
from deepgen_fast.nn import GeneratorBlock, synchronized_batch_norm
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.training import GANTrainer, VAETrainer

QUIET = {"progress": "none", "tensorboard": False, "device": "cpu", "batch_size": 16}
#: 50 examples, of which 14 make a last batch that two processes share as 7 and 7; K = 2 runs over the end of an epoch.
SETTINGS = {**QUIET, "epochs": 2, "drop_last": False, "discriminator_steps": 2, "ema_decay": 0.9, "gradient_clip": 1.0}
OBJECTIVE = {"r1": 1.0, "gradient_penalty": 1.0, "penalty_every": 2}


def pictures() -> Tensor:
    return torch.rand(50, 1, 16, 16, generator=torch.Generator().manual_seed(3))


def gan() -> Any:
    torch.manual_seed(0)
    return dcgan((1, 16, 16), width=4, latent_dim=6)


def train_gan(directory: str | Path | None = None, objective: Any = None, **settings: Any) -> GANTrainer:
    trainer = GANTrainer(
        gan(), objective or AdversarialObjective(**OBJECTIVE), **{**SETTINGS, **settings}, run_directory=directory
    )
    trainer.fit(pictures(), pictures()[:10])
    return trainer


def train_exact_vae() -> VAETrainer:
    """Next to no noise, of which every process has its own; batches of 17, which two processes share as 9 and 8."""
    torch.manual_seed(0)
    model = two_layer_vae((1, 16, 16), 8, 2, scale="std")
    nn.init.constant_(model.encoder.scale.weight, 0.0)
    nn.init.constant_(model.encoder.scale.bias, -30.0)
    trainer = VAETrainer(model, **{**QUIET, "batch_size": 17}, epochs=2, ema_decay=0.9, learning_rate=1e-4)
    trainer.fit(pictures(), pictures()[:10])
    return trainer


def gradients(trainer: VAETrainer) -> dict[str, Tensor]:
    """Of the last step: Adam hides their scale from the weights."""
    return {name: parameter.grad for name, parameter in trainer.model.named_parameters()}


def found(trainer: Any) -> dict[str, Any]:
    averages = {} if trainer.ema is None else trainer.ema.state_dict()
    return {"history": trainer.history, "state": trainer.model.state_dict(), "ema": averages}


def layers() -> dict[str, nn.Module]:
    """Batch norms alone, and in a block, in float64."""
    torch.manual_seed(1)
    made: dict[str, nn.Module] = {
        "images": nn.BatchNorm2d(3),
        "rows": nn.BatchNorm1d(3),
        "volumes": nn.BatchNorm3d(3, affine=False),
        "average": nn.BatchNorm2d(3, momentum=None),
        "block": GeneratorBlock(3, 4, algorithm="direct"),
    }
    for module in made.values():
        module.double()
        for parameter in module.parameters():
            nn.init.normal_(parameter, 0.5)
    return made


def batch(name: str) -> Tensor:
    shape = {"rows": (6, 3), "volumes": (6, 3, 2, 3, 2)}.get(name, (6, 3, 4, 4))
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def derivatives(layer: nn.Module, x: Tensor, first: int) -> dict[str, Tensor]:
    """Output, and gradients of a loss and of a penalty on its gradient; ``first`` is the row where ``x`` begins."""
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.cos(torch.arange(first * y[0].numel(), (first + len(y)) * y[0].numel(), dtype=y.dtype)).view(
        y.shape
    )
    parameters = list(layer.parameters())
    plain = torch.autograd.grad((y * weights).sum(), [x, *parameters], retain_graph=True)
    (slope,) = torch.autograd.grad((y.square() * weights).sum(), x, create_graph=True)
    penalty = torch.autograd.grad(slope.square().sum(), [x, *parameters], allow_unused=True)
    penalty = [torch.zeros_like(like) if g is None else g for g, like in zip(penalty, [x, *parameters], strict=True)]
    return {
        "output": y.detach(),
        "input gradient": plain[0],
        "penalty's input gradient": penalty[0],
        **{f"gradient {i}": g for i, g in enumerate(plain[1:])},
        **{f"penalty's gradient {i}": g for i, g in enumerate(penalty[1:])},
        **{f"buffer {name}": b for name, b in layer.named_buffers()},
    }


class Signalled(AdversarialObjective):
    """One of the processes is told to stop; the other hears nothing."""

    def discriminator_loss(self, *arguments: Any, **options: Any) -> Any:
        if options["step"] == 3 and dist.get_rank() == 1:
            signals.send(signal.SIGTERM)
        return super().discriminator_loss(*arguments, **options)


class Fruitless(AdversarialObjective):
    """The loss of one process stops being finite."""

    def discriminator_loss(self, *arguments: Any, **options: Any) -> Any:
        loss = super().discriminator_loss(*arguments, **options)
        bad = options["step"] == 2 and dist.get_rank() == 1
        return loss._replace(value=loss.value * float("nan")) if bad else loss


def run(rank: int, folder: str) -> None:
    """Everything, in one of the two processes."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    results: dict[str, Any] = {}
    for name, layer in layers().items():
        rows = slice(0, 4) if rank == 0 else slice(4, 6)
        with synchronized_batch_norm(layer):
            results[name] = derivatives(layer, batch(name)[rows], rows.start)
        assert "Synchronized" not in type(layer).__name__
    results["gan"] = found(train_gan(f"{folder}/gan"))
    results["bf16"] = found(train_gan(precision="bf16", epochs=1))
    results["per_process"] = found(train_gan(batch_norm="per_process", epochs=1))
    interrupted = train_gan(f"{folder}/parts", Signalled(**OBJECTIVE))
    results["interrupted"] = interrupted.position.step
    rest = GANTrainer(gan(), AdversarialObjective(**OBJECTIVE), **SETTINGS, run_directory=f"{folder}/parts")
    rest.fit(pictures(), pictures()[:10], resume_from="last")
    results["resumed"] = found(rest)
    torch.manual_seed(0)
    vae = VAETrainer(two_layer_vae((1, 16, 16), 8, 2), **QUIET, epochs=2, early_stopping=5)
    vae.fit(pictures(), pictures()[:10])
    results["vae"] = found(vae)
    exact = train_exact_vae()
    results["exact_vae"] = {**found(exact), "gradients": gradients(exact)}
    cvae = VAETrainer(conditional_vae((1, 16, 16), 2, 8, 2), **QUIET, epochs=2)
    labels = torch.arange(50) % 2
    cvae.fit(pictures(), pictures()[:10], labels=labels, validation_labels=labels[:10])
    results["cvae"] = found(cvae)
    errors = []
    for attempt in (
        lambda: train_gan(None, Fruitless()),
        lambda: GANTrainer(gan(), **{**SETTINGS, "batch_size": 49}).fit(pictures()),
        lambda: train_gan(f"{folder}/gan"),
    ):
        try:
            attempt()
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    results["errors"] = errors
    torch.save(results, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()
