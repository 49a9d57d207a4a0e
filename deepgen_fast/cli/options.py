"""The flags of `train vae` that set a field of the run's config, with what a user should know of each.

Every flag is unset unless given: so a config file's value stands where no flag overrides it. The defaults
shown in the help are those of the config classes (a test compares them).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deepgen_fast.cli.errors import UsageError

DATA, MODEL, OBJECTIVE, TRAINING = "Data", "Model", "Objective", "Training"


def _flag(panel: str, default: str, text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, show_default=default, rich_help_panel=panel, metavar=metavar)


DataName = Annotated[
    str | None,
    _flag(
        DATA,
        "mnist5k",
        "mnist5k or digits (both offline), an .npz or .npy file, a folder of images, or the name of a "
        "torchvision "
        "data set.",
        "--data",
        metavar="NAME|PATH",
    ),
]
ImageSize = Annotated[
    int | None, _flag(DATA, "as they are", "Resize images to this height and width.", metavar="PIXELS")
]
LabelsPerClass = Annotated[
    int | None,
    _flag(DATA, "none", "Number of labels per class that training may use, such as 10; the others are hidden from it."),
]
Binarize = Annotated[
    str | None,
    _flag(
        DATA,
        "none",
        "none, threshold (at 0.5), or stochastic: each pixel drawn anew at every visit with its gray value "
        "as "
        "probability. Only on binary pixels is a Bernoulli log p(x) a log-probability of the data.",
    ),
]
Architecture = Annotated[
    str | None, _flag(MODEL, "two_layer", "two_layer (one hidden layer each way) or convolutional.")
]
HiddenDim = Annotated[int | None, _flag(MODEL, "512", "Hidden units of two_layer.")]
LatentDim = Annotated[
    int | None,
    _flag(
        MODEL,
        "16",
        "Dimension of the latent z. About 16 suit digits: more stay unused; 2 gives the pictures of `manifold`.",
    ),
]
Likelihood = Annotated[
    str | None, _flag(MODEL, "bernoulli", "p(x|z): bernoulli for pixels near 0 and 1, gaussian for other values.")
]
Variance = Annotated[
    str | None,
    _flag(
        MODEL, "unit", "Variance of the Gaussian: unit, shared (one learned number) or per_pixel (from the decoder)."
    ),
]
Scale = Annotated[
    str | None,
    _flag(
        MODEL,
        "logvar",
        "What the encoder outputs for sigma: logvar (safe for any output), pre_softplus, or softplus_sigmoid "
        "(bounded, between 0.693 and 1.313).",
    ),
]
Activation = Annotated[str | None, _flag(MODEL, "relu", "relu, sigmoid, tanh, silu or leaky_relu.")]
Kind = Annotated[
    str | None, _flag(OBJECTIVE, "elbo", "elbo, or importance_weighted (tighter; needs --num-samples).", "--objective")
]
Beta = Annotated[
    float | None, _flag(OBJECTIVE, "1.0", "Weight of the KL. 1 is the bound on log p(x); more gives simpler codes.")
]
KlWarmupSteps = Annotated[
    int | None, _flag(OBJECTIVE, "0", "Steps over which beta rises from 0, against latents that die early.")
]
FreeBits = Annotated[
    float | None, _flag(OBJECTIVE, "0.0", "Free bits: KL per latent dimension that is not penalized, in nats.")
]
NumSamples = Annotated[
    int | None,
    _flag(OBJECTIVE, "1", "Samples of z per example. One is enough for the ELBO: the batch averages its noise."),
]
Epochs = Annotated[int | None, _flag(TRAINING, "50", "Passes over the training data.")]
BatchSize = Annotated[int | None, _flag(TRAINING, "128", "Examples per step.")]
LearningRate = Annotated[
    float | None, _flag(TRAINING, "0.001", "Peak learning rate of Adam.", "--learning-rate", "--lr")
]
Schedule = Annotated[str | None, _flag(TRAINING, "none", "Learning-rate schedule: none (constant), cosine or step.")]
GradientClip = Annotated[float | None, _flag(TRAINING, "off", "Maximum norm of the gradient, for runs that diverge.")]
Precision = Annotated[
    str | None, _flag(TRAINING, "float32", "float32 or bf16 (networks only: weights, KL and likelihood stay float32).")
]
EmaDecay = Annotated[
    float | None,
    _flag(TRAINING, "off", "Decay of a moving average of the weights (EMA), such as 0.999; the average is evaluated."),
]
EarlyStopping = Annotated[
    int | None, _flag(TRAINING, "off", "Validations without improvement after which training stops.")
]
Device = Annotated[str | None, _flag(TRAINING, "auto", "auto (a GPU where there is one), cpu, cuda, cuda:1.")]
Threads = Annotated[int | None, _flag(TRAINING, "torch's choice", "Number of torch's CPU threads.")]
Progress = Annotated[str | None, _flag(TRAINING, "auto", "bar, lines, none; auto is a bar on a terminal, else lines.")]
Seed = Annotated[
    int | None, _flag(TRAINING, "0", "Seed of initial weights, order of examples and noise; not of the data split.")
]

#: The field of the config that each parameter of the command sets.
FIELDS = {
    "data": "data.name",
    "image_size": "data.image_size",
    "binarize": "data.binarize",
    "architecture": "model.architecture",
    "hidden_dim": "model.hidden_dim",
    "latent_dim": "model.latent_dim",
    "likelihood": "model.likelihood",
    "variance": "model.variance",
    "scale": "model.scale",
    "activation": "model.activation",
    "objective": "objective.kind",
    "beta": "objective.beta",
    "kl_warmup_steps": "objective.warmup_steps",
    "free_bits": "objective.free_bits",
    "num_samples": "objective.num_samples",
    "epochs": "trainer.epochs",
    "batch_size": "trainer.batch_size",
    "learning_rate": "trainer.learning_rate",
    "schedule": "trainer.schedule",
    "gradient_clip": "trainer.gradient_clip",
    "precision": "trainer.precision",
    "ema_decay": "trainer.ema_decay",
    "early_stopping": "trainer.early_stopping",
    "device": "trainer.device",
    "threads": "trainer.threads",
    "progress": "trainer.progress",
    "seed": "trainer.seed",
}


def overrides(given: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Config fields from the flags that were given and from `--set section.field=value` (which wins).

    Values of settings are TOML (`0.5`, `true`, `[32, 64]`), or plain text where they are none.

    Raises:
        UsageError: a setting without an equals sign.
    """
    fields = {field: value for field, value in given.items() if value is not None}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or "." not in key:
            raise UsageError(f"--set: expected section.field=value, got {setting!r}")
        fields[key.strip()] = toml_value(text.strip())
    return fields


def toml_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none."""
    from deepgen_fast.config.toml import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
