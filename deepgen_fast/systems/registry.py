"""The systems that can be trained, by name. One more is a model (and an objective) of its own, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from deepgen_fast.config.from_signature import model_section, section_of, with_defaults
from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.config.long_training import LongTrainerConfig
from deepgen_fast.config.sections import ConfigError, DataConfig, Section, TrainerConfig
from deepgen_fast.config.sentences import SentenceDataConfig, SentenceTrainerConfig
from deepgen_fast.config.vae import ModelConfig, ObjectiveConfig
from deepgen_fast.models import (
    agreed_event_shape,
    build_model,
    catgan,
    conditional_gan,
    conditional_vae,
    dcgan,
    deep_latent_gaussian,
    fully_connected_gan,
    infogan,
    lapgan,
    semi_supervised_gan,
    sentence_vae,
)
from deepgen_fast.objectives import (
    ELBO,
    AdversarialObjective,
    CategoricalObjective,
    HierarchicalELBO,
    InformationObjective,
    PyramidObjective,
    SemiSupervisedObjective,
    SentenceELBO,
    build_objective,
)
from deepgen_fast.training.gan.trainer import GANTrainer
from deepgen_fast.training.trainer import Trainer
from deepgen_fast.training.vae import VAETrainer


@dataclass(frozen=True)
class System:
    """What ``deepgen-fast train NAME`` builds, and what trains it.

    Attributes:
        name: of the command and in config files.
        title: in a sentence.
        model, objective, settings: classes of the config's sections ``model``, ``objective`` and ``trainer``.
        build_model: from the section ``model`` and the shape of one example (None: as the section says).
        build_objective: from the section ``objective``.
        trainer: called with model and objective; its ``kind`` says what can be done with the trained model.
        needs_pixels: of the section ``model``: who needs examples in [0, 1], and the setting of ``model`` that takes
            others; None where any values will do.
        binarizes: whether grey pixels may be made binary.
        labelled: whether batches are pairs of examples and labels.
        semi_supervised: whether labels may be missing: then they are ``UNLABELLED``, and none are used unless
            ``data.labels_per_class`` says how many.
        example_data: flags of the help's example of own data; without any, the help gives no such example.
        data: class of the config's section ``data``; ``SentenceDataConfig`` where examples are sentences, whose words
            the field ``vocabulary`` of the section ``model`` then tells: the data's, unless it is set.
    """

    name: str
    title: str
    model: type[Section]
    objective: type[Section]
    settings: type[TrainerConfig]
    build_model: Callable[[Any, tuple[int, ...] | None], nn.Module]
    build_objective: Callable[[Any], Any]
    trainer: type[Trainer]
    needs_pixels: Callable[[Any], tuple[str, str] | None] = lambda model: None
    binarizes: bool = False
    labelled: bool = False
    semi_supervised: bool = False
    example_data: str = "--data photos/ --image-size 64"
    data: type[DataConfig] = DataConfig

    @property
    def of_sentences(self) -> bool:
        """Whether examples are sentences."""
        return issubclass(self.data, SentenceDataConfig)


def _bernoulli(model: Any) -> tuple[str, str] | None:
    bernoulli = getattr(model, "likelihood", None) == "bernoulli"
    return ("a Bernoulli likelihood", "likelihood='gaussian'") if bernoulli else None


def _bounded(model: Any) -> tuple[str, str] | None:
    output = getattr(model, "output", "tanh")
    otherwise = "output='linear'" if hasattr(model, "output") else "another system"
    return None if output == "linear" else (f"a generator that ends in {output}", otherwise)


def _system(name: str, title: str, build: Callable[..., nn.Module], objective: Any, **options: Any) -> System:
    """A system whose sections ``model`` and ``objective`` are the parameters of ``build`` and of ``objective``."""

    def build_model(section: Any, event_shape: tuple[int, ...] | None) -> nn.Module:
        values = section.model_dump()
        return build(agreed_event_shape(values.pop("event_shape"), event_shape), **values)

    return System(
        name,
        title,
        model=model_section(build, f"{name}_model", f"Which {title}; see ``deepgen_fast.models.{build.__name__}``."),
        objective=section_of(objective, f"{name}_objective", "What to minimise."),
        build_model=build_model,
        build_objective=lambda section: objective(**section.model_dump()),
        **options,
    )


def variational(
    name: str,
    title: str,
    build: Callable[..., nn.Module],
    objective: Any = ELBO,
    *,
    settings: type[TrainerConfig] = TrainerConfig,
    labelled: bool = False,
    binarizes: bool = True,
    example_data: str = System.example_data,
    data: type[DataConfig] = DataConfig,
) -> System:
    """A system that ``VAETrainer`` trains.

    Args:
        name, title: as in ``System``.
        build: makes the model of the shape of an example and of its other parameters, which are the config's; a
            Bernoulli likelihood is a parameter ``likelihood`` of ``"bernoulli"``.
        objective: a class whose parameters are the config's; see ``objectives.Objective``.
        settings, labelled, binarizes, example_data, data: as in ``System``; ``settings`` for defaults of its own.
    """
    return _system(
        name,
        title,
        build,
        objective,
        trainer=VAETrainer,
        needs_pixels=_bernoulli,
        settings=settings,
        binarizes=binarizes,
        labelled=labelled,
        example_data=example_data,
        data=data,
    )


def adversarial(
    name: str,
    title: str,
    build: Callable[..., nn.Module],
    objective: Any = AdversarialObjective,
    *,
    labelled: bool = False,
    settings: type[TrainerConfig] = GANTrainerConfig,
) -> System:
    """A system that ``GANTrainer`` trains.

    Args:
        name, title: as in ``System``.
        build: makes the model of the shape of an example and of its other parameters, which are the config's.
        objective: a class whose parameters are the config's; whether it is ``semi_supervised``, the system is.
        labelled, settings: as in ``System``; ``settings`` for defaults of its own.
    """

    return _system(
        name,
        title,
        build,
        objective,
        trainer=GANTrainer,
        needs_pixels=_bounded,
        settings=settings,
        labelled=labelled or objective.semi_supervised,
        semi_supervised=objective.semi_supervised,
    )


# DCGAN's rate, and no average of the weights, are for large images and long runs.
_FAST = with_defaults(GANTrainerConfig, learning_rate=1e-3, ema_decay=0.99)
_LONGER = with_defaults(_FAST, epochs=40, schedule="cosine")
_AVERAGED = with_defaults(GANTrainerConfig, ema_decay=0.99)
# Q, which D's player moves, should not learn to read a code before the generator has made something of it.
_SLOWER_JUDGE = with_defaults(_FAST, discriminator_learning_rate=2e-4)

SYSTEMS = {
    system.name: system
    for system in (
        System(
            "vae", "variational autoencoder", ModelConfig, ObjectiveConfig, TrainerConfig, build_model, build_objective,
            VAETrainer, _bernoulli, binarizes=True,
        ),
        variational("cvae", "conditional VAE", conditional_vae, labelled=True, settings=LongTrainerConfig),
        variational(
            "dlgm", "deep latent Gaussian model", deep_latent_gaussian, HierarchicalELBO, settings=LongTrainerConfig
        ),
        variational(
            "sentence-vae", "sentence VAE", sentence_vae, SentenceELBO, settings=SentenceTrainerConfig, binarizes=False,
            example_data="--data lines.txt --min-count 3", data=SentenceDataConfig,
        ),
        adversarial("gan", "fully connected GAN", fully_connected_gan),
        adversarial("dcgan", "deep convolutional GAN", dcgan),
        adversarial("cgan", "conditional GAN", conditional_gan, labelled=True, settings=_FAST),
        adversarial("infogan", "information-maximizing GAN", infogan, InformationObjective, settings=_SLOWER_JUDGE),
        adversarial("lapgan", "Laplacian pyramid of GANs", lapgan, PyramidObjective, settings=_AVERAGED),
        adversarial("catgan", "categorical GAN", catgan, CategoricalObjective, settings=_FAST),
        adversarial(
            "semi-supervised-gan", "semi-supervised GAN", semi_supervised_gan, SemiSupervisedObjective,
            settings=_LONGER,
        ),
    )
}  # fmt: skip


def system_named(name: str) -> System:
    """The system of that name.

    Raises:
        ConfigError: when there is none.
    """
    if name not in SYSTEMS:
        raise ConfigError(f"system: expected one of {', '.join(SYSTEMS)}, got {name!r}")
    return SYSTEMS[name]
