"""The records that flow between the steps: one JSON object a line, no header line.

This is the one place for field names. Ids are always strings outside; integers live in `vocab`.
A field whose value is `None` is left out of the line. Unknown fields are ignored when a line is
read, so that a record may carry more than `eimf` needs; those of a Query are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records. `msgspec` checks types and required fields when a line is read."""


class Item(Record, frozen=True, kw_only=True):
    """One thing of the catalogue. `text` is a longer description, `attributes` anything else."""

    item: str
    title: str
    categories: list[str] = []
    text: str | None = None
    attributes: dict[str, Any] | None = None


Split = Literal["train", "valid", "test"]


class Sequence(Record, frozen=True, kw_only=True):
    """One user's interactions in time order within one split.

    Training lines have no targets: every position is one. In the other splits `items` is the
    history and `targets` what came next. `times` (unix seconds) and `events` (kinds of behaviour)
    have one entry per entry of `items`, `target_times` and `target_events` one per entry of `targets`.
    """

    user: str
    split: Split
    items: list[str]
    times: list[float] | None = None
    targets: list[str] = []
    target_times: list[float] | None = None
    events: list[str] | None = None
    target_events: list[str] | None = None


class SequenceOwner(Record, frozen=True, kw_only=True):
    """Whose line a Sequence is, and of which split; the rest of the line is passed over, which is fast."""

    LINE: ClassVar[str] = "Sequence"

    user: str
    split: Split


class HistoryItem(Record, frozen=True, kw_only=True):
    """An item of a sample's history, with title and categories so that the line needs no catalogue."""

    item: str
    title: str
    categories: list[str] | None = None


class Sample(Record, frozen=True, kw_only=True):
    """A representative user of a cluster, self-contained. `distance` is 1 - cosine to the centre.

    `key` identifies the user with exactly this training history (see `dataset.sample_key`). A line that others wrote
    needs `user` and `history`: its key is the user, and so its label is his whatever he did since.
    """

    key: str = ""
    user: str
    cluster: Int64 = 0
    cluster_size: int = 1
    distance: float = 0.0
    history: list[HistoryItem]

    def __post_init__(self) -> None:
        if not (self.key or self.user):
            raise ValueError("needs 'user' or 'key'")
        if not self.key:
            msgspec.structs.force_setattr(self, "key", self.user)


class Cluster(Record, frozen=True, kw_only=True):
    """What a cluster of users is about. `distance` is the mean of 1 - cosine to the centre over its
    `size` users, `samples` how many representative users it gave, `words` the title words that tell it from
    the other clusters and `items` those nearest to its centre.
    """

    cluster: Int64
    size: int
    samples: int
    distance: float
    words: list[str]
    items: list[HistoryItem]


class SemanticInterest(Record, frozen=True, kw_only=True):
    """An interest in words. `items` are the items of the history that show it."""

    name: str
    description: str = ""
    items: list[str] = []


class Label(Record, frozen=True, kw_only=True):
    """The semantic interests of one sample, or the reason why there are none (`error`).

    `request` is the hash of key, rendered prompt, schema, model and sampling settings: a resumed
    run skips a sample whose request is already answered. `items_by` says whether the model or text
    similarity assigned the items. `seconds` is wall time, `tokens` counts prompt and answer, `trimmed`
    how many of the oldest items of the history were not shown.

    A line that others wrote needs `user` or `key`, and `interests` with names.
    """

    key: str = ""
    request: str = ""
    user: str = ""
    cluster: Int64 = 0
    interests: list[SemanticInterest]
    items_by: Literal["model", "similarity"] = "model"
    engine: str = "by hand"
    model: str = ""
    model_sha256: str | None = None
    prompt_sha256: str | None = None
    seed: int = 0
    attempts: int = 1
    seconds: float = 0.0
    tokens: dict[str, int] = {}
    trimmed: int | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if not (self.key or self.user):
            raise ValueError("needs 'user' or 'key'")


class BatchRequest(Record, frozen=True, kw_only=True):
    """A request in the batch form of OpenAI: what is asked of `url`, and a name that comes back with the result."""

    custom_id: str
    method: Literal["POST"] = "POST"
    url: str
    body: dict[str, Any]


class TrueItem(Record, frozen=True, kw_only=True):
    """What an item is about, to score labels: the interest it was made for, or its categories."""

    item: str
    interest: str | None = None
    categories: list[str] = []


class TrueInterest(Record, frozen=True, kw_only=True):
    """An interest that a user is known to have."""

    name: str


class TrueUser(Record, frozen=True, kw_only=True):
    """All interests that a user is known to have."""

    user: str
    interests: list[TrueInterest]


class LabelQuality(Record, frozen=True, kw_only=True):
    """How well a file of labels recovers what users are known to be interested in.

    `errors` of the `users` have no interests; `first_try` is the share that a language model answered usably at once,
    where one was asked.
    `precision` and `recall` are over all interests of all users, `by_chance` is the recall of the
    same labels given to other users, `items_right` the share of items assigned to the right interest.
    """

    labels: str
    engine: str
    model: str
    users: int
    left_out: dict[str, int] = {}
    errors: int
    first_try: float | None = None
    precision: float
    recall: float
    f1: float
    by_chance: float
    items_right: float | None = None


class Metric(Record, frozen=True, kw_only=True):
    """One figure, with everything needed to know what it is a figure of.

    `k` is the cutoff (absent where a metric has none), `users` how many entered the mean,
    `left_out` how many did not, by reason. `seen` says whether items of the history were dropped
    from the ranking, `ties` whether equal scores go by item index or by a seeded order. `ci_low` and
    `ci_high` bound the 95 % interval over users (bootstrap; jackknife for coverage and gini). `seed` is
    the seed a model was trained with, `eval_seed` that of the resampling. A `group` of `seeds` models
    that differ in their seed alone has the mean of their values, with `spread`, the standard
    deviation over seeds (the interval of a group is that over users). In a comparison `difference`
    is `value` minus that of `compared_to`, `difference_ci_low` and `difference_ci_high` bound its paired
    95 % interval, `p` is from the paired randomisation test, `p_holm` corrected for the number of pairs,
    and `detectable` is the difference that so many users show four times in five.
    """

    metric: str
    k: int | None = None
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    users: int
    left_out: dict[str, int] = {}
    slice: str = "all"
    split: str
    protocol: str
    seen: Literal["drop", "keep"]
    ties: Literal["index", "seeded"] | None = None
    model: str
    group: str | None = None
    seed: int | None = None
    seeds: int | None = None
    spread: float | None = None
    eval_seed: int | None = None
    compared_to: str | None = None
    difference: float | None = None
    difference_ci_low: float | None = None
    difference_ci_high: float | None = None
    detectable: float | None = None
    p: float | None = None
    p_holm: float | None = None


class Trial(Record, frozen=True, kw_only=True):
    """One training of a comparison: its settings, and how well the result ranks on the validation split.

    `settings` are those that differ from the defaults of `train`, `ndcg` is NDCG@10 on the validation split, `seconds`
    of training. `model` is the name of the model directory beside this file, where it was kept, `manifest_sha256`
    tells it from a later one.
    `error` says why there is no result.
    """

    backbone: str
    seed: int
    settings: dict[str, Any] = {}
    ndcg: float | None = None
    epochs: int | None = None
    seconds: float | None = None
    model: str | None = None
    manifest_sha256: str | None = None
    error: str | None = None


class UserMetrics(Record, frozen=True, kw_only=True):
    """The figures of one user and model; `values` by "metric@k", a slice of targets behind a space.

    `history` and `targets` are numbers of items. A metric that the user has no value of is left out.
    """

    user: str
    model: str
    history: int
    targets: int
    values: dict[str, float]


class Query(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for recommendations: a history of item ids, or titles, or plain words.

    All fields may be left out, so that a misspelled one would change the answer without a word: it is an error.
    `OPTION_NAMES`: what a field is called that has the name of an option of `eimf recommend`.
    """

    OPTION_NAMES: ClassVar[dict[str, str]] = {"items": "history", "like": "titles", "only_items": "only"}

    id: str | None = None
    history: list[str] | None = None
    titles: list[str] | None = None
    text: str | None = None
    times: list[float] | None = None
    events: list[str] | None = None
    exclude: list[str] = []
    only: list[str] | None = None
    seen: Literal["drop", "keep"] | None = None
    diversity: float | None = None
    k: int | None = None


# `omit_defaults` lets msgspec write the three below at once, None left out; an empty list that a
# lambda made is written all the same


class RankedItem(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One recommended item; `interest` is the index of the interest that brought it, if one did."""

    rank: int
    item: str
    title: str
    score: float
    interest: int | None = None


class Anchor(Record, frozen=True, kw_only=True):
    """A history item that made an interest, with its share of the attention."""

    item: str
    title: str
    weight: float


class UserInterest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One behavioural interest of a user: its name if one is near enough, and what made it.

    `similarity` is the mean cosine of its items to what the name is that of (words: of these), `weight` the share of
    the recommended items that this interest brought. `words` are the query's, where they are the interest.
    """

    index: int
    words: str | None = None
    name: str | None = None
    similarity: float | None = None
    weight: float
    anchors: list[Anchor] = msgspec.field(default_factory=lambda: [])


class AnsweredUsers(Record, frozen=True, kw_only=True):
    """What the users of a part got, once it is written: their number and that of the items they got; how many of them
    got nothing, how many the most popular items since nothing of their history is known, and how many have items that
    the model does not know."""

    users: int
    rows: int
    empty: int
    popular: int
    with_unknown: int


class ResolvedItem(Record, frozen=True, kw_only=True):
    """An item of a history that was read, or that a title may be."""

    item: str
    title: str


class ResolvedHistory(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the history of a query of the command line was understood as.

    `items` is how many of it the model knows, `read` how many of those count, `latest` the last of them, oldest
    first. `until` is the time of the last interaction (unix seconds), where times are known. `as_tested` says that
    what came next, which a test asks for, is left out.
    """

    items: int
    read: int
    latest: list[ResolvedItem] = msgspec.field(default_factory=lambda: [])
    until: float | None = None
    as_tested: bool = False


class Recommendation(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a Query. `ambiguous` names the first items that an `unknown` title may be, `fallback` says what
    stood in when the history was of no use, `empty` which filter left nothing to list, `error` what is wrong with a
    line that got no answer, `history` what the history of a query of the command line was understood as.
    """

    id: str
    items: list[RankedItem]
    interests: list[UserInterest]
    unknown: list[str] = msgspec.field(default_factory=lambda: [])
    ambiguous: dict[str, list[ResolvedItem]] = {}
    fallback: str | None = None
    empty: str | None = None
    error: str | None = None
    history: ResolvedHistory | None = None
    explain: dict[str, Any] | None = None
