"""What `eimf train` can be told: one dataclass, each default and its help written once. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from eimf_core.config import setting
from eimf_core.errors import ConfigError
from eimf_core.models import registry

CHOICES = {
    "item_vectors": ("text", "random", "neighbours", "both"),
    "loss": ("auto", "sampled", "full", "gbce"),
    "negative_sampling": ("uniform", "popularity", "log-uniform", "mixed"),
    "similarity": ("cosine", "dot"),
    "schedule": ("constant", "linear", "plateau"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("float32", "bf16"),
    "alignment": ("vectors", "distributions", "prototypes"),
    "item_contrast": ("catalogue", "shown"),
}


SMALL_CATALOGUE = 2  # times the negatives: below, scoring every item costs little more


class LabelWeights(NamedTuple):
    """What semantic prediction, alignment and tying items to words weigh beside the loss of the backbone."""

    semantic: float
    alignment: float
    items: float


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; raises ConfigError for a value that makes no sense."""

    backbone: str = setting(
        "comirec-sa", "Backbone: a name, or ENCODER+EXTRACTOR.", group="model", known=tuple(registry.BACKBONES)
    )
    hyperparameters: dict[str, Any] = setting(
        {}, "Hyper-parameters of the backbone's own, by name.", config_only=True, group="model"
    )
    epochs: int = setting(30, "Epochs at most; without a validation split exactly so many.")
    max_minutes: float | None = setting(None, "Stop after so many minutes of training.", metavar="M")
    seed: int = setting(0, "Seed of everything that is drawn.")
    dimension: int = setting(128, "Width d of item vectors and interests.", "-d")
    interests: int = setting(4, "Behavioural interests K a user.")
    max_length: int = setting(50, "Items of a history that count, the latest ones.")
    dropout: float = setting(0.2, "Share of the values dropped out.")
    item_vectors: str = setting(
        "text",
        "Item vectors start from text (PCA of the text vectors), random, or from neighbours, where items that stand "
        "near each other in histories are near; both: id plus projected text.",
    )
    item_categories: bool = setting(False, "Item vectors hold a learned vector of each of their categories as well.")
    item_events: bool = setting(
        False, "Items of a history hold a learned vector of their kind of behaviour (view, buy) as well."
    )
    encoder: str | None = setting(None, "Text encoder, a name or path; the packaged one if not given.")
    prefixes: int = setting(
        8, "Prefixes learned an epoch of each max-length items, where not all are read in one pass; 0 for all."
    )
    loss: str = setting("auto", "Softmax over sampled negatives, over the full catalogue, auto by its size, or gbce.")
    calibration: float = setting(0.75, "Calibration t of gbce, from 0 to 1.")
    negatives: int = setting(1024, "Negatives drawn a step and shared by its batch.")
    negative_sampling: str = setting(
        "uniform", "How negatives are drawn: uniform, popularity, log-uniform or mixed with the batch's targets."
    )
    logq: bool = setting(True, "Correct for how often each negative is drawn.")
    similarity: str = setting("cosine", "Score of interest and item: cosine or dot.")
    temperature: float = setting(0.07, "Divides cosines before the softmax.")
    batch_size: int = setting(1024, "(History, target) pairs a step.")
    learning_rate: float = setting(0.001, "Step size of Adam.", "--lr")
    schedule: str = setting(
        "constant",
        "Learning rate over time: constant, linear (falls to the planned end) or plateau (halved at each wait).",
    )
    warm_up: float = setting(0.0, "Epochs over which the learning rate rises to its full height.")
    clip: float = setting(5.0, "Longest gradient, in norm; 0 for no limit.")
    patience: int = setting(4, "Stop after so many epochs without a better validation figure.")
    valid_users: int = setting(5000, "Users of the validation split that are looked at, a fixed sample; 0 for all.")
    semantic_weight: float | None = setting(
        None, "Weight of semantic prediction, with labels; if not given 0.1, 0 where item vectors know text."
    )
    alignment_weight: float = setting(0.03, "Weight of modality alignment, with labels.")
    alignment_temperature: float = setting(0.1, "Divides cosines in the alignment.")
    labelled_share: float = setting(0.02, "Labelled users drawn a step, as a share of the batch size; two at least.")
    labelled_steps: float = setting(0.5, "Share of the steps that see labels; what they add counts the more there.")
    alignment: str = setting(
        "vectors", "What is aligned: vectors, distributions over the items of a step, or prototypes of clusters."
    )
    item_weight: float | None = setting(
        None,
        "Weight of tying items to the words of the interests that they show; if not given 0.3, 0 where item vectors "
        "know text.",
    )
    item_contrast: str = setting(
        "shown", "What words tell their items from: the catalogue's, or only those that labels show too."
    )
    item_share: float = setting(0.125, "Pairs of item and words drawn a step, as a share of the batch size.")
    inherited_weight: float = setting(0.0, "Weight of users who inherit the interests of a labelled one; 0: nobody.")
    inherited_cosine: float = setting(0.5, "Least cosine of two histories' text vectors to inherit.")
    inherited_items: float = setting(
        0.4,
        "Items of heirs show the inherited words too, from this cosine of title and words on; 0: they do not. Counts "
        "where words place items or --item-weight ties them.",
    )
    label_start: bool = setting(
        True,
        "Words start where items with such titles do; random item vectors start from the words of the labels, and of "
        "items near in histories.",
    )
    distil_weight: float = setting(
        0.0, "Weight of learning from users with similar texts, for users with short histories; 0: nobody."
    )
    distil_users: int = setting(10, "Similar users whose mean interests a user learns from.")
    distil_length: int = setting(5, "Items of a training history, at most, of users who learn from similar ones.")
    distil_share: float = setting(0.05, "Users drawn a step to learn so, as a share of the batch size.")
    label_warm_up: float = setting(0.0, "Epochs over which the weights of the labels rise to their full height.")
    label_half_life: float = setting(0.0, "Epochs after which the labels count half; 0: always the same.")
    device: str = setting("auto", "Where to train: cpu, cuda, mps, or auto, an accelerator where there is one.")
    precision: str = setting("float32", "Of the network while training: float32, or bf16 where it can (autocast).")
    compile: bool = setting(False, "Compile the network (torch.compile); pays on accelerators and long runs.")
    threads: int = setting(0, "Threads; 0: OMP_NUM_THREADS, or half the cores and at most 8.")

    def __post_init__(self) -> None:
        registry.is_single(self.backbone)  # a wrong name is told before anything heavy is loaded
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, f"is '{getattr(self, name)}', expected {' or '.join(choices)}")
        for name in (
            "epochs", "dimension", "interests", "max_length", "negatives", "batch_size", "distil_users",
            "distil_length",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise _wrong(name, f"is {getattr(self, name)}, expected at least 1")
        for name in ("learning_rate", "temperature", "alignment_temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise _wrong(name, f"is {getattr(self, name)}, expected a number above 0")
        for name in (
            "clip", "patience", "prefixes", "valid_users", "alignment_weight",
            "labelled_share", "threads", "seed", "item_share", "inherited_weight", "label_warm_up",
            "label_half_life", "warm_up", "distil_weight", "distil_share",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < float("inf"):
                raise _wrong(name, f"is {getattr(self, name)}, expected 0 or more")
        for name in ("semantic_weight", "item_weight"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < float("inf"):
                raise _wrong(name, f"is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.calibration <= 1:
            raise _wrong("calibration", f"is {self.calibration}, expected a number from 0 to 1")
        if self.loss == "gbce" and self.negative_sampling != "uniform":
            raise _wrong("negative-sampling", f"is '{self.negative_sampling}', gbce needs uniform")
        if not 0 < self.labelled_steps <= 1:
            raise _wrong("labelled-steps", f"is {self.labelled_steps}, expected a share above 0")
        for name, off in (("labelled_share", "without --labels nobody is drawn"), ("item_share", "--item-weight 0")):
            if not getattr(self, name):
                raise _wrong(name, f"is 0, expected a share above 0 ({off})")
        if not 0 <= self.inherited_items <= 1:
            raise _wrong("inherited-items", f"is {self.inherited_items}, expected a number from 0 to 1")
        if not -1 <= self.inherited_cosine <= 1:
            raise _wrong("inherited_cosine", f"is {self.inherited_cosine}, expected a number from -1 to 1")
        if not 0 <= self.dropout < 1:
            raise _wrong("dropout", f"is {self.dropout}, expected a share below 1")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise _wrong("max_minutes", f"is {self.max_minutes}, expected a number above 0")
        registry.read_hyperparameters(self.backbone, self.hyperparameters, self.dimension)
        if self.distil_weight and not registry.load(self.backbone).extractor_type.interests_correspond:
            raise _wrong("distil-weight", f"needs interests that answer to each other; those of {self.backbone} do not")

    @property
    def uses_labels(self) -> bool:
        """Whether any part of the loss asks for labels."""
        return any(self.label_weights)

    @property
    def knows_text(self) -> bool:
        """Whether item vectors come from titles."""
        return self.item_vectors in ("text", "both")

    @property
    def label_weights(self) -> LabelWeights:
        """The weights of the parts that labels add. Item vectors that start from titles know the words already:
        predicting by words and tying items to words cost accuracy there, and alignment alone gives interests names."""
        semantic, items = (0.0, 0.0) if self.knows_text else (0.1, 0.3)
        return LabelWeights(
            semantic if self.semantic_weight is None else self.semantic_weight,
            self.alignment_weight,
            items if self.item_weight is None else self.item_weight,
        )

    def uses_full_softmax(self, items: int) -> bool:
        """Whether the loss is taken over the whole catalogue of so many items."""
        return self.loss == "full" or (self.loss == "auto" and items <= SMALL_CATALOGUE * self.negatives)


def _wrong(name: str, problem: str) -> ConfigError:
    return ConfigError(f"--{name.replace('_', '-')} {problem}")
