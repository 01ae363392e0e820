"""The settings of `eimf train`: one dataclass, each default and its help written once. No torch here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from eimf_core.config import MAX_THREADS, check, setting
from eimf_core.errors import ConfigError
from eimf_core.models import registry

DEFAULT = "comirec-sa+narm"
FAST, FAST_EPOCHS = "narm", 12
"""What `--fast` trains, and for how many epochs at most."""
SEEDS_APART = 1_000_003
"""Between the seeds of two members of one name."""
SMALL_CATALOGUE = 2  # times the negatives: below, scoring every item costs little more


class LabelWeights(NamedTuple):
    """What semantic prediction, alignment and the alignment of items weigh beside the loss of the backbone."""

    semantic: float
    alignment: float
    items: float


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Raises:
        ConfigError: for a value that is out of bounds, or that does not go with another one.
    """

    backbone: str = setting(
        DEFAULT,
        "Backbone, or several joined by + as the members of an ensemble.",
        known=tuple(registry.BACKBONES), metavar="NAME[+NAME …]",
    )  # fmt: skip
    epochs: int = setting(30, "Epochs at most; without a validation split exactly so many.", low=1)
    max_minutes: float | None = setting(
        None, "Stop after so many minutes of training, an equal part of them for each member.", above=0, metavar="M"
    )
    seed: int = setting(0, "Seed of everything that is drawn.", low=0)

    max_length: int = setting(50, "Items of a history that count, the latest ones.", group="data", low=1, high=10_000)
    item_vectors: Literal["text", "random", "neighbours"] = setting(
        "text",
        "Item vectors start from text (projected to what neighbours in histories share), random, or, for items without "
        "titles, from neighbours: items that stand near each other in histories are near.",
        group="data",
    )
    item_categories: bool = setting(
        False, "Item vectors hold a learned vector of each of their categories as well.", group="data", advanced=True
    )
    item_events: bool = setting(
        False,
        "Items of a history hold a learned vector of their kind of behaviour (view, buy) as well.",
        group="data", advanced=True,
    )  # fmt: skip
    encoder: str | None = setting(
        None, "Text encoder, a name or path; the packaged one if not given.", group="model", advanced=True
    )
    valid_users: int = setting(
        5000,
        "Users of the validation split that each epoch is measured on, a fixed sample; 0 for all.",
        group="data", low=0, config_only=True,
    )  # fmt: skip
    prefixes_per_window: int = setting(
        8,
        "Prefixes of a history that are training examples in an epoch, of each max_length items, where the backbone "
        "cannot read all of them in one pass; 0: all.",
        group="data", low=0, config_only=True,
    )  # fmt: skip

    dimension: int = setting(
        128, "Embedding dimension d, of item vectors and interests.", "-d", group="model", low=1, high=65536
    )
    interests: int = setting(4, "Behavioural interests K a user.", group="model", low=1, high=1024)
    dropout: float = setting(0.2, "Dropout rate.", group="model", low=0, below=1, advanced=True)
    hyperparameters: dict[str, Any] = setting(
        {}, "Hyper-parameters of the backbone's own, by name.", group="model", config_only=True
    )

    semantic_weight: float | None = setting(
        None,
        "Weight of semantic prediction, with labels; if not given 0.1, 0 where item vectors start from text.",
        group="labels", low=0, config_only=True,
    )  # fmt: skip
    alignment_weight: float = setting(
        0.03, "Weight of modality alignment, with labels.", group="labels", low=0, config_only=True
    )
    alignment_temperature: float = setting(
        0.1, "Temperature of the alignments: divides their cosines.", group="labels", above=0, config_only=True
    )
    item_alignment_weight: float | None = setting(
        None,
        "Weight of the contrastive loss that aligns items with the words of the interests that labels list them under; "
        "if not given 0.3, 0 where item vectors start from text.",
        group="labels", low=0, config_only=True,
    )  # fmt: skip
    item_alignment_share: float = setting(
        0.125,
        "Pairs of an item and the words of its interest drawn a step for that loss, as a share of the batch size.",
        group="labels", above=0, config_only=True,
    )  # fmt: skip
    labelled_share: float = setting(
        0.02,
        "Labelled users drawn a step, as a share of the batch size; at least two.",
        group="labels", above=0, config_only=True,
    )  # fmt: skip
    labelled_steps: float = setting(
        0.5,
        "Share of the steps that compute the losses of labels; they are divided by it, so that their mean stays.",
        group="labels", above=0, high=1, config_only=True,
    )  # fmt: skip
    propagation_min_item_cosine: float = setting(
        0.4,
        "Label propagation: an item of an unlabelled user counts as listed under the nearest interest of the most "
        "similar labelled user where the cosine of its text and the words is at least this; 0: no propagation. Used "
        "by item_alignment_weight, and by label_init where item vectors are random.",
        group="labels", low=0, high=1, config_only=True,
    )  # fmt: skip
    propagation_min_user_cosine: float = setting(
        0.5,
        "Label propagation: least cosine of the mean text vectors of an unlabelled and the most similar labelled user.",
        group="labels", low=-1, high=1, config_only=True,
    )  # fmt: skip
    label_init: bool = setting(
        True,
        "Initialise from labels: interest names start near items with similar titles; random item vectors start at the "
        "names of the interests that list them, averaged with their neighbours in histories.",
        group="labels", config_only=True,
    )  # fmt: skip

    loss: Literal["auto", "sampled", "full"] = setting(
        "auto",
        "Softmax over sampled negatives, over the full catalogue, or auto by its size.",
        group="optimisation", advanced=True,
    )  # fmt: skip
    negatives: int = setting(
        1024,
        "Negatives drawn a step and shared by its batch.",
        group="optimisation", low=1, high=1_000_000, advanced=True,
    )  # fmt: skip
    temperature: float = setting(
        0.07, "Temperature of the softmax over items: divides cosines.", group="optimisation", above=0, config_only=True
    )
    batch_size: int = setting(1024, "(History, target) pairs a step.", group="optimisation", low=1, high=100_000)
    learning_rate: float = setting(0.001, "Learning rate of Adam.", "--lr", group="optimisation", above=0, high=1000)
    schedule: Literal["constant", "linear"] = setting(
        "constant", "Learning-rate schedule: linear falls to the planned end.", group="optimisation", advanced=True
    )
    max_gradient_norm: float = setting(
        5.0, "Gradient clipping: largest norm of a step's gradient; 0: none.",
        group="optimisation", low=0, config_only=True,
    )  # fmt: skip
    patience: int = setting(
        4,
        "Early stopping: epochs without a better validation figure before training ends; 0: never.",
        group="optimisation", low=0,
    )  # fmt: skip

    refit: bool = setting(
        False,
        "Train once more at the end, on training and validation lines, as the validation split chose.",
        group="optimisation",
    )  # fmt: skip

    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Where to train; auto: an accelerator where there is one.", group="machine"
    )
    precision: Literal["float32", "bf16"] = setting(
        "float32",
        "Of the network while training; bf16 where it can (autocast).",
        group="machine", advanced=True,
    )  # fmt: skip
    compile: bool = setting(
        False,
        "Compile the network (torch.compile); pays on accelerators and long runs.",
        group="machine", advanced=True,
    )  # fmt: skip
    threads: int = setting(
        0, "Threads; 0: OMP_NUM_THREADS, or half the cores and at most 8.", group="machine", low=0, high=MAX_THREADS
    )

    def __post_init__(self) -> None:
        check(self)
        own = registry.own_hyperparameters(self.backbone, self.hyperparameters)
        for name, given in zip(registry.members(self.backbone), own, strict=True):
            registry.read_hyperparameters(name, given, self.dimension)

    @property
    def members(self) -> list[TrainConfig]:
        """The settings of each member of an ensemble; these settings where there is one backbone."""
        names = registry.members(self.backbone)
        if len(names) == 1:
            return [self]
        limit = None if self.max_minutes is None else self.max_minutes / len(names)
        return [
            replace(
                self,
                backbone=name,
                # the same name twice is another seed
                seed=self.seed + SEEDS_APART * names[:at].count(name),
                max_minutes=limit,
                hyperparameters=own,
            )
            for at, (name, own) in enumerate(
                zip(names, registry.own_hyperparameters(self.backbone, self.hyperparameters), strict=True)
            )
        ]

    @property
    def uses_labels(self) -> bool:
        """Whether any part of the loss asks for labels."""
        return any(self.label_weights)

    @property
    def knows_text(self) -> bool:
        """Whether item vectors come from titles."""
        return self.item_vectors == "text"

    @property
    def label_weights(self) -> LabelWeights:
        """The weights of the parts that labels add. Item vectors that start from titles know the words already:
        predicting by words and aligning items cost accuracy there; alignment of users alone gives interests names."""
        semantic, items = (0.0, 0.0) if self.knows_text else (0.1, 0.3)
        return LabelWeights(
            semantic if self.semantic_weight is None else self.semantic_weight,
            self.alignment_weight,
            items if self.item_alignment_weight is None else self.item_alignment_weight,
        )

    def ranking_loss(self, items: int) -> str:
        """Which of `next_item_loss.NEXT_ITEM_LOSSES` ranks a catalogue of so many items."""
        if self.loss != "auto":
            return self.loss
        return "full" if items <= SMALL_CATALOGUE * self.negatives else "sampled"


def as_fast(
    settings: TrainConfig, given: Collection[str], *, epochs_from: object = None
) -> tuple[TrainConfig, frozenset[str]]:
    """What `--fast` makes of settings: one member alone, and fewer epochs where they are not given.

    Args:
        settings: of the run.
        given: the names of those that are no defaults.
        epochs_from: the earlier model whose settings count, if there is one.

    Returns:
        The settings, and the names of those that are no defaults.

    Raises:
        ConfigError: where something else says what is trained.
    """
    other = "--backbone" if "backbone" in given else None if epochs_from is None else "--epochs-from"
    if other is not None:
        raise ConfigError(f"--fast and {other} both say what is trained; leave out one of the two")
    epochs = settings.epochs if "epochs" in given else FAST_EPOCHS
    return replace(settings, backbone=FAST, epochs=epochs), frozenset({*given, "backbone"})
