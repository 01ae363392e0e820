"""Names for the groups of a model's items, asked for as labels are: `eimf label MODEL/`.

The titles in the middle of each group are a sample like any other, and the answer is one interest, kept with the model.
During a run samples and answers lie in `MODEL.names/` beside the model, so that the same command resumes it. A group
without an answer keeps the name that it had.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files, jsonl, provenance
from eimf_core.labeling import dry_run, history_text
from eimf_core.labeling import label as labeling
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines.engine_registry import chosen_class
from eimf_core.labeling.label import LabelSummary
from eimf_core.labeling.label_output import OtherLabelsError
from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.naming import interest_names, item_groups
from eimf_core.naming.item_groups import GroupName, ItemGroups
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import HistoryItem, Item, Label, Sample

PROMPT = "groups"
SAMPLES, ANSWERS = "samples.jsonl", "labels.jsonl"
SHOWN = 10
"""Titles of a group that are shown, those nearest to its centre."""
LOOKED_AT = 100
"""Items of a group that are looked at until so many with a title are found."""


def folder(model: str | Path) -> Path:
    """Where samples and answers lie during a run."""
    target = files.resolved(model)
    return target.with_name(f"{target.name}.names")


def name_groups(
    path: str | Path, config: LabelConfig, *, force: bool = False, given: Collection[str] | None = None,
    reporter: Reporter = SILENT,
) -> LabelSummary:  # fmt: skip
    """Ask what the groups of a model's items have in common, and keep the answers with the model.

    Args:
        path: of the model directory.
        config: which engine is asked, and how.
        force, given: as of `label.label`.
        reporter: hears of progress and remarks.

    Returns:
        What came of it, counted in groups.

    Raises:
        ConfigError: the settings do not go with groups, or answers of other settings would be lost without `discard`.
        LabelError: more groups than the settings allow have no answer; the model stays as it is.
        ModelError: the model is damaged, has no titles, or was replaced meanwhile.
    """
    model, groups = _opened(path, config)
    work = folder(path)
    unfinished = work.exists()
    settings = _settings(config, work, groups, model, reporter)
    try:
        summary = labeling.label(work / SAMPLES, work / ANSWERS, settings, force=force, given=given, reporter=reporter)
    except ConfigError as problem:
        if not unfinished and not jsonl.partial(work / ANSWERS).exists():
            shutil.rmtree(work, ignore_errors=True)
        if isinstance(problem, OtherLabelsError):
            place = work if unfinished else model.name
            told = f"holds {problem.count} names made with other settings, which would be lost"
            raise ConfigError(f"{place}: {told}; give --discard to give them up") from problem
        raise
    if summary.unanswered:
        return summary
    _keep(path, model, groups, {label.key: label for label in jsonl.read(work / ANSWERS, Label)})
    shutil.rmtree(work, ignore_errors=True)
    return summary


def preview(
    path: str | Path, output: str | Path, config: LabelConfig, reporter: Reporter, *, force: bool = False,
    given: Collection[str] | None = None,
) -> dry_run.Totals:  # fmt: skip
    """What `name_groups` would ask: see `dry_run.dry_run`.

    Args:
        path: of the model directory.
        output: of the prompts, or "-".
        config: with `dry_run` set.
        reporter: hears of remarks.
        force, given: as of `label.label`.

    Returns:
        How many prompts, and their tokens.
    """
    model, groups = _opened(path, config)
    with tempfile.TemporaryDirectory() as work:
        settings = _settings(config, Path(work), groups, model, reporter)
        return dry_run.dry_run(Path(work) / SAMPLES, output, settings, reporter, force=force, given=given)


def _opened(path: str | Path, config: LabelConfig) -> tuple[OpenedModel, ItemGroups]:
    if config.max_interests != LabelConfig.max_interests:
        raise ConfigError("--max-interests: a group of a model has one name; leave it out")
    if config.shard is not None:
        raise ConfigError("--shard: the groups of a model are named in one run; leave it out")
    model = artifact.open_model(path)
    return model, interest_names.groups_of(model)


def samples(model: OpenedModel, groups: ItemGroups) -> Iterator[Sample]:
    """A sample for each group that has titles: those of the items nearest to its centre, the nearest first."""
    for at in range(len(groups)):
        members = groups.members(at)
        items = _with_titles(model, members[:LOOKED_AT].tolist())
        if items:
            yield Sample(
                key=_key(items),
                user=f"group {at + 1}",
                cluster=at,
                cluster_size=len(members),
                distance=round(1 - float(groups.near[members].mean()), 6),
                history=[
                    HistoryItem(item=item.item, title=item.title, categories=item.categories or None) for item in items
                ],
            )


def _with_titles(model: OpenedModel, members: Iterable[int]) -> list[Item]:
    """The first items with a title, none with that of an earlier one."""
    found: dict[str, Item] = {}
    for index in members:
        item = model.catalogue.item(index)
        title = history_text.clean_title(item.title)
        if title:
            found.setdefault(title.casefold(), item)
        if len(found) == SHOWN:
            break
    return list(found.values())


def _key(items: Sequence[Item]) -> str:
    """The same for the same items in the same order."""
    ids = msgspec.json.encode([item.item for item in items])
    return hashlib.sha256(ids).hexdigest()[:16]


def _settings(
    config: LabelConfig, work: Path, groups: ItemGroups, model: OpenedModel, reporter: Reporter
) -> LabelConfig:
    """The settings of the run, once samples and earlier answers lie where it looks for them."""
    made = list(samples(model, groups))
    if not made:
        raise ModelError(
            f"{model.name}: its items have no titles that could be named; prepare with --items, and train again"
        )
    work.mkdir(exist_ok=True)
    content = b"".join(map(jsonl.encode, made))
    before, answers = work / SAMPLES, work / ANSWERS
    stale = before.exists() and before.read_bytes() != content
    jsonl.write(before, made)
    known = [group.answer for group in groups.names if group.answer is not None]
    if known and not answers.exists():
        jsonl.write(answers, known)
        provenance.write(answers, {"command": "label", "facts": {"taken from": model.name}})
    if stale:
        reporter.note(
            f"{model.name}: has other groups than when {work} was written; answers about the same titles count"
        )
    asks_model = chosen_class(config).uses_prompt and config.model != BUNDLED
    return dataclasses.replace(
        config,
        max_interests=1,
        prompt=config.prompt or (PROMPT if asks_model else None),
        discard=config.discard or stale,
    )


def _keep(path: str | Path, model: OpenedModel, groups: ItemGroups, answers: dict[str, Label]) -> None:
    """Write the model anew with what was answered."""
    now = artifact.open_model(path)
    if now.provenance != model.provenance:
        raise ModelError(
            f"{path}: was written anew meanwhile; run the same command again, answers about the same titles are kept"
        )
    of_group = {label.cluster: label for label in answers.values() if label.interests}
    names = [
        GroupName(name=of_group[at].interests[0].name, by="answer", answer=of_group[at]) if at in of_group else known
        for at, known in enumerate(groups.names)
    ]
    first = next(iter(of_group.values()), None)
    described = {
        "groups": len(names),
        "asked": len(of_group),
        **({} if first is None else {"engine": first.engine, "model": first.model, "model_sha256": first.model_sha256}),
    }
    artifact.add_arrays(path, item_groups.PART, groups.named(names).arrays(), {"names": described})
