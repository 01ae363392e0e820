"""What `eimf label` can be told: one dataclass, each default and its help written once."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.config import setting
from eimf_core.errors import ConfigError

ENGINES = ("llama-cpp", "server", "keywords", "categories", "replay")
BUNDLED = "bundled"


@dataclass(frozen=True)
class LabelConfig:
    """Settings of a labelling run; raises ConfigError for a value that makes no sense."""

    engine: str = setting("llama-cpp", "Who answers: llama-cpp, server, keywords, categories or replay.")
    model: str | None = setting(
        None,
        "GGUF file, or 'bundled' (the example shop's toy); the name of the model for a server.",
        metavar="FILE.gguf",
    )
    prompt: str | None = setting(
        None,
        "Form of the prompt, or a template FILE.md with FILE.schema.json; by default what the model was made for.",
        metavar="NAME|FILE",
    )
    max_interests: int = setting(4, "Interests a user at most.")
    max_titles: int = setting(30, "Items of a history that are shown, the latest ones.")
    language: str = setting("", "Language of names and descriptions, such as German.")
    seed: int = setting(0, "Seed of what is drawn; asking again takes the next.")
    temperature: float = setting(0.0, "Of the first try; 0 always takes the best token.")
    retry_temperature: float = setting(0.7, "Of further tries.")
    attempts: int = setting(3, "Tries a user before it is recorded with an error.")
    max_tokens: int = setting(0, "Longest answer in tokens; 0: by the prompt's schema.")
    max_error_share: str = setting("5%", "More users without a label than this share: exit code 4.", metavar="P%")
    retry_errors: bool = setting(False, "Ask again for users that an earlier run recorded with an error.")
    parallel: int = setting(8, "Users answered at a time.")
    context: int = setting(0, "Tokens a prompt with its answer may have; 0: up to 2048, as the model allows.")
    threads: int = setting(0, "CPU threads of llama.cpp; 0: by the cores and the size of the model.")
    gpu_layers: int = setting(0, "Layers on the GPU; -1 for all.")
    chat_template: str | None = setting(None, "Jinja file instead of the model's own chat template.", metavar="FILE")
    hf_repo: str | None = setting(None, "Take the GGUF file from this repository on the hub, with --hf-file.")
    hf_file: str | None = setting(None, "Name of the GGUF file in --hf-repo.")
    server: str | None = setting(
        None, "OpenAI-compatible endpoint for --engine server, such as http://127.0.0.1:8080/v1.", metavar="URL"
    )
    allow_remote: bool = setting(
        False, "Let the server be another machine: titles and categories leave this one, never user ids."
    )
    timeout: float = setting(300.0, "Seconds to wait for one answer of the server.")
    retries: int = setting(4, "Further tries when the server is busy or away, with growing pauses.")
    items: str | None = setting(
        None,
        "The catalogue: titles are shown with their categories; --engine categories reads these alone.",
        metavar="items.jsonl",
    )
    replay: str | None = setting(None, "Labels made before, for --engine replay.", metavar="labels.jsonl")
    dry_run: bool = setting(False, "Ask nothing: write each prompt with its tokens, and guess the time.")
    encoder: str | None = setting(
        None, "Text encoder where items are assigned by similarity; the packaged one if not given."
    )

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise _wrong("engine", f"is '{self.engine}', expected {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
        for name in ("max_interests", "max_titles", "attempts", "parallel"):
            if getattr(self, name) < 1:
                raise _wrong(name, f"is {getattr(self, name)}, expected at least 1")
        for name in ("max_tokens", "context", "threads", "seed"):
            if getattr(self, name) < 0:
                raise _wrong(name, f"is {getattr(self, name)}, expected 0 or more")
        for name in ("temperature", "retry_temperature"):
            if not 0 <= getattr(self, name) <= 10:
                raise _wrong(name, f"is {getattr(self, name)}, expected a number from 0 to 10")
        if not self.timeout > 0 or self.retries < 0:
            raise _wrong(
                *(("timeout", "has to be above 0") if not self.timeout > 0 else ("retries", "has to be 0 or more"))
            )
        if (self.hf_repo is None) != (self.hf_file is None):
            raise ConfigError("--hf-repo and --hf-file belong together")
        if self.gpu_layers < -1:
            raise _wrong("gpu_layers", f"is {self.gpu_layers}, expected -1 or more")
        if self.items == "-":
            raise _wrong("items", "is '-', expected a file")
        _ = self.error_share

    @property
    def shows_categories(self) -> bool:
        """Whether titles are shown with what the catalogue tells of them."""
        return self.items is not None and self.engine in ("llama-cpp", "server", "keywords")

    @property
    def catalogue(self) -> list[str]:
        """The catalogue, where one is read."""
        return [self.items] if self.items is not None and self.engine != "replay" else []

    @property
    def error_share(self) -> float:
        """`max_error_share` as a number from 0 to 1."""
        text = self.max_error_share.strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise _wrong("max_error_share", f"is '{self.max_error_share}', expected a share such as 5% or 0.05")
        return share


def _wrong(name: str, problem: str) -> ConfigError:
    return ConfigError(f"--{name.replace('_', '-')} {problem}")
