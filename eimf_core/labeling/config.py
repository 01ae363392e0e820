"""What `eimf label` and `eimf score` can be told: a dataclass each, each default and its help written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from eimf_core import plugins
from eimf_core.config import MAX_THREADS, check, no_choice, setting, setting_error
from eimf_core.errors import ConfigError
from eimf_core.labeling.engines.named_models import NAMED
from eimf_core.ray_cluster import ray_option

EngineName = Literal["llama-cpp", "server", "batch", "keywords", "categories"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""The engines of eimf itself; plug-ins may add others."""
BUNDLED = "bundled"
PROMPTS = ("names", "general", "described", "movies", "books", "products")
"""The bundled prompts about histories; `groups` is for the groups of a model, and taken by itself there."""


@dataclass(frozen=True)
class LabelConfig:
    """Settings of a labelling run; raises ConfigError for a value that makes no sense."""

    engine: str = setting(
        "llama-cpp",
        "Who answers: a GGUF model, a server, a batch, or no model: words of titles, categories.",
        metavar="NAME",
        known=ENGINES,
    )
    model: str | None = setting(
        None,
        "GGUF file, a name that is fetched from the hub once, or 'bundled' (the example shop's toy); for a server the "
        "name that it knows the model by.",
        metavar="FILE|NAME",
        known=("bundled", *NAMED),
    )
    prompt: str | None = setting(
        None,
        "A bundled prompt, or a template FILE.md with FILE.schema.json; by default that of the GGUF file, else "
        "'names'.",
        metavar="NAME|FILE",
        known=PROMPTS,
    )
    items: str | None = setting(
        None, "The catalogue: titles are shown with their categories.", group="data", metavar="items.jsonl"
    )
    max_interests: int = setting(4, "Interests per user, at most.", group="labels", low=1)
    language: str = setting("", "Language of names and descriptions, such as German.", group="labels")
    max_titles: int = setting(
        0,
        "Titles of a history that the model is shown, the latest ones; 0: 16, or 30 where the model has its prompt.",
        group="labels",
        low=0,
        advanced=True,
    )
    max_error_share: str = setting(
        "5%",
        "Exit with 4 when more users than this share are without a label.",
        group="labels",
        metavar="P%",
        advanced=True,
    )
    keep_going: bool = setting(
        False,
        "Continue when the first answer is refused for most of the first 8 users, which ends a run otherwise.",
        group="labels",
        advanced=True,
    )
    retry_errors: bool = setting(
        False, "Ask again for users that an earlier run recorded with an error.", group="labels", advanced=True
    )
    discard: bool = setting(False, "Give up labels that other settings or samples made, and that would be kept.")
    encoder: str | None = setting(
        None, "Text encoder where items are assigned by similarity; the packaged one if not given.", group="model",
        advanced=True,
    )  # fmt: skip
    seed: int = setting(0, "Random seed; each further attempt takes the next.", low=0)
    dry_run: bool = setting(False, "Only write each prompt with its tokens, and guess the time.")
    server: list[str] = setting(
        [],
        "OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1; given again, the load is shared. Its key is "
        "read from EIMF_API_KEY.",
        group="model",
        metavar="URL",
    )
    allow_remote: bool = setting(
        False, "Let the server be another machine: titles and categories leave this one, never user ids.", group="model"
    )
    results: list[str] = setting(
        [],
        "Output and error files of the requests that --engine batch wrote.",
        group="model",
        metavar="FILE",
        advanced=True,
    )
    hf_repo: str | None = setting(
        None, "Take the GGUF file from this repository on the hub, with --hf-file.", group="model", advanced=True
    )
    hf_file: str | None = setting(None, "Name of the GGUF file in --hf-repo.", group="model", advanced=True)
    chat_template: str | None = setting(
        None, "Jinja file instead of the model's own chat template.", group="model", metavar="FILE", advanced=True
    )
    max_tokens: int = setting(
        0, "Longest answer in tokens; 0: by the prompt's schema.", group="model", low=0, advanced=True
    )
    attempts: int = setting(3, "Attempts per user before an error is recorded.", group="model", low=1, config_only=True)
    temperature: float = setting(
        0.0,
        "Sampling temperature of the first attempt; 0 always takes the best token.",
        group="model",
        low=0,
        high=10,
        config_only=True,
    )
    retry_temperature: float = setting(
        0.7, "Sampling temperature of further attempts.", group="model", low=0, high=10, config_only=True
    )
    timeout: float = setting(
        300.0, "Seconds to wait for one answer of the server.", group="model", above=0, high=86_400, config_only=True
    )
    retries: int = setting(
        4,
        "Further requests when the server is busy or away, with growing pauses.",
        group="model",
        low=0,
        config_only=True,
    )
    shard: str | None = setting(
        None,
        "Label only this part of the users, such as 3/8, for job arrays; the parts concatenated are the whole.",
        group="machine",
        metavar="I/N",
        advanced=True,
    )
    parallel: int = setting(8, "Prompts answered at a time.", group="machine", low=1)
    gpu_layers: int = setting(0, "Layers on the GPU; -1 for all.", group="machine", low=-1)
    context: int = setting(
        0, "Context length in tokens, prompt and answer; 0: up to 2048, as the model allows.", group="machine", low=0,
        advanced=True,
    )  # fmt: skip
    threads: int = setting(
        0,
        "CPU threads of llama.cpp; 0: by the cores and the size of the model.",
        group="machine",
        low=0,
        high=MAX_THREADS,
        advanced=True,
    )

    ray: str | None = ray_option.option("Ask a local model in many processes")

    def __post_init__(self) -> None:
        check(self)
        if self.engine not in ENGINES and plugins.find("engines", self.engine) is None:
            raise setting_error("engine", no_choice(self.engine, plugins.names("engines")))
        ray_option.check_address(self.ray)
        if (self.hf_repo is None) != (self.hf_file is None):
            raise ConfigError("--hf-repo and --hf-file belong together; give both or neither")
        if self.items == "-":
            raise setting_error("items", "is '-', expected a file")
        _ = self.error_share

    @property
    def error_share(self) -> float:
        """`max_error_share` as a number from 0 to 1."""
        text = self.max_error_share.strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise setting_error("max_error_share", f"is '{self.max_error_share}', expected a share such as 5% or 0.05")
        return share


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of a comparison of labels with a truth; raises ConfigError for a value that makes no sense."""

    truth_users: Path | None = setting(
        None, "The interests that users really have, if known.", group="data", metavar="FILE"
    )
    encoder: str | None = setting(
        None, "Text encoder that matches interests, a name or path; the packaged one if not given.", group="model"
    )

    def __post_init__(self) -> None:
        check(self)
