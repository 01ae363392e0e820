"""The settings of each step as types, so that editors and type checkers know the names and values of `**settings`.

Defaults, help and bounds stand where the settings are: in the `config.py` of each package. A test compares both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypedDict


class PrepareSettings(TypedDict, total=False):
    """Settings of `eimf_core.prepare.config.PrepareConfig`."""

    format: str
    split: Literal["temporal", "leave-one-out", "by-user", "none"]
    min_user: int
    min_item: int
    on_error: Literal["fail", "skip"]
    target: Literal["last", "first", "all"]
    valid_from: str | None
    test_from: str | None
    valid_share: float
    test_share: float
    seed: int
    user_column: str | None
    item_column: str | None
    time_column: list[str]
    time_format: str | None
    rating_column: str | None
    event_column: str | None
    title_column: str | None
    category_column: str | None
    items_item_column: str | None
    items_title_column: str | None
    items_category_column: str | None
    items_text_column: str | None
    header: Literal["auto", "yes", "no"]
    separator: str | None
    skip_lines: int
    min_rating: float | None
    event: list[str]
    since: str | None
    until: str | None
    max_length: int | None
    repeats: Literal["keep", "first", "last"]
    duplicates: Literal["drop", "keep"]
    hash_users: bool
    text_length: int
    memory_limit: str
    threads: int


class ClusterSettings(TypedDict, total=False):
    """Settings of `eimf_core.clustering.config.ClusterConfig`."""

    clusters: str
    budget: str
    encoder: str | None
    categories: bool
    seed: int
    min_items: int
    overlap: float
    ray: str | None


class LabelSettings(TypedDict, total=False):
    """Settings of `eimf_core.labeling.config.LabelConfig`."""

    engine: str
    model: str | None
    prompt: str | None
    items: str | None
    max_interests: int
    language: str
    max_titles: int
    max_error_share: str
    keep_going: bool
    retry_errors: bool
    discard: bool
    encoder: str | None
    seed: int
    dry_run: bool
    server: list[str]
    allow_remote: bool
    results: list[str]
    hf_repo: str | None
    hf_file: str | None
    chat_template: str | None
    max_tokens: int
    attempts: int
    temperature: float
    retry_temperature: float
    timeout: float
    retries: int
    shard: str | None
    parallel: int
    gpu_layers: int
    context: int
    threads: int
    ray: str | None


class TrainSettings(TypedDict, total=False):
    """Settings of `eimf_core.training.config.TrainConfig`."""

    backbone: str
    epochs: int
    max_minutes: float | None
    seed: int
    max_length: int
    item_vectors: Literal["text", "random", "neighbours"]
    item_categories: bool
    item_events: bool
    encoder: str | None
    valid_users: int
    prefixes_per_window: int
    dimension: int
    interests: int
    dropout: float
    hyperparameters: dict[str, Any]
    semantic_weight: float | None
    alignment_weight: float
    alignment_temperature: float
    item_alignment_weight: float | None
    item_alignment_share: float
    labelled_share: float
    labelled_steps: float
    propagation_min_item_cosine: float
    propagation_min_user_cosine: float
    label_init: bool
    loss: Literal["auto", "sampled", "full"]
    negatives: int
    temperature: float
    batch_size: int
    learning_rate: float
    schedule: Literal["constant", "linear"]
    max_gradient_norm: float
    patience: int
    refit: bool
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["float32", "bf16"]
    compile: bool
    threads: int


class EvalSettings(TypedDict, total=False):
    """Settings of `eimf_core.evaluation.config.EvalConfig`."""

    split: Literal["test", "valid"]
    k: list[int]
    seen: Literal["drop", "keep"]
    metrics: list[str]
    baselines: Literal["fast", "all", "none"]
    slice: list[str]
    group: bool
    compare_with: Path | None
    labels: Path | None
    seed: int
    resamples: int
    threads: int


class RecommendSettings(TypedDict, total=False):
    """Settings of `eimf_core.recommend.config.RecommendConfig`."""

    k: int
    min_score: float | None
    first_match: bool
    strict: bool
    encoder: str | None
    seen: Literal["drop", "keep"] | None
    diversity: float
    per_interest: bool
    text_weight: float
    anchors: int
    anchor_share: float
    name_threshold: float
    index: bool
    repeat_after: float | None
    on_error: Literal["fail", "skip"]
    threads: int | None
    shard: str | None
    ray: str | None
