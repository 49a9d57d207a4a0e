"""Trainers, checkpoints and the average of weights."""

from mutants.fault import Fault

_ROOT = "deepgen_fast"

FAULTS = (
    Fault(
        f"{_ROOT}/training/vae.py",
        'generator = reseed(self._noise, self.config.seed, "validation")',
        "generator = self._noise",
        "tests/training/test_what_steps_get.py tests/training/test_vae_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/vae.py",
        "            self.ema.update(step)",
        "            self.ema.update(step + 1)",
        "tests/training/test_what_steps_get.py tests/training/test_vae_trainer.py tests/training/test_ema.py",
    ),
    Fault(
        f"{_ROOT}/training/vae.py",
        "        with self.evaluated_model() as model:\n            for batch in batches.epoch():",
        "        model = self.model\n        with torch.no_grad():\n            for batch in batches.epoch():",
        "tests/training/test_vae_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/trainer.py",
        "                self.ema.update(turn)",
        "                self.ema.update(step)",
        "tests/training/test_what_steps_get.py tests/training/test_gan_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/trainer.py",
        "generator_moves = (step + 1) % config.discriminator_steps == 0",
        "generator_moves = step % config.discriminator_steps == 0",
        "tests/training/test_what_steps_get.py tests/training/test_gan_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/trainer.py",
        "        self._precision.require_grad(self._parameters, True)",
        "        pass",
        "tests/training/test_gan_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/player.py",
        'group["lr"] = learning_rate * self.rate',
        'group["lr"] = learning_rate',
        "tests/training/test_what_steps_get.py tests/training/test_gan_trainer.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/historical_average.py",
        "torch._foreach_lerp_(self._means, self._parameters, 1.0 / self._count)",
        "torch._foreach_lerp_(self._means, self._parameters, 1.0 / (self._count + 1))",
        "tests/training/test_improved_techniques_training.py",
    ),
    Fault(
        f"{_ROOT}/training/gan/discriminator_metrics.py",
        "head[-2] = loss.value.detach() * rows",
        "head[-2] = loss.value.detach()",
        "tests/training/test_discriminator_metrics.py",
    ),
    Fault(
        f"{_ROOT}/training/state/ema.py",
        "return min(self.decay, (1.0 + step) / (10.0 + step))",
        "return self.decay",
        "tests/training/test_ema.py",
    ),
    Fault(
        f"{_ROOT}/training/state/schedule.py",
        "return self.peak * (step + 1) / self.warmup_steps",
        "return self.peak * step / self.warmup_steps",
        "tests/training/test_schedule.py",
    ),
    Fault(
        f"{_ROOT}/training/loop.py",
        "            self.run_directory.checkpoints.discard_after(self.position.step)\n",
        "",
        "tests/training/test_what_steps_get.py tests/training/test_resume.py tests/training/test_checkpoint.py",
    ),
    Fault(
        f"{_ROOT}/training/loop.py",
        "        torch.set_rng_state(checkpoint.training[_RANDOM_CPU])",
        "        pass",
        "tests/training/test_what_steps_get.py tests/training/test_resume.py tests/training/test_gan_resume.py",
    ),
    Fault(
        f"{_ROOT}/training/loop.py",
        '        self.epoch_sums().copy_(checkpoint.training["epoch_sums"])',
        "        pass",
        "tests/training/test_what_steps_get.py tests/training/test_resume.py",
    ),
    Fault(
        f"{_ROOT}/training/loop.py",
        "if best.loss is None or loss < best.loss - self.config.min_improvement:",
        "if best.loss is None or loss < best.loss:",
        "tests/training/test_what_steps_get.py tests/training/test_vae_trainer.py tests/training/test_resume.py",
    ),
    Fault(
        f"{_ROOT}/training/state/checkpoint.py",
        "        os.rename(temporary, directory)",
        "        shutil.copytree(temporary, directory)",
        "tests/training/test_checkpoint.py",
    ),
    Fault(
        f"{_ROOT}/training/state/checkpoint_store.py",
        "self._pending_best = Checkpoint(checkpoint.model, checkpoint.state, checkpoint.ema).detached()",
        "self._pending_best = Checkpoint(checkpoint.model, checkpoint.state, checkpoint.ema)",
        "tests/training/test_checkpoint.py",
    ),
    Fault(
        f"{_ROOT}/training/state/checkpoint_store.py",
        "key=lambda item: int(item[0][2])",
        "key=lambda item: item[0][2]",
        "tests/training/test_checkpoint.py",
    ),
)
