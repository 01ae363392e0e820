"""An ensemble: its members are trained one after the other, each by itself, then joined.

A member is an ordinary model directory in `.MODEL.members/` beside MODEL until all are there. One that is finished is
not trained again when the same command is run again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.evaluation.measure import block_size
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.io import files, provenance
from eimf_core.model_directory import artifact
from eimf_core.model_directory.next_items import NextItemsConfig
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric.arrays import Arrays
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import item_naming, join, next_item_choice, next_item_graph, setup, text_neighbours
from eimf_core.training.config import TrainConfig
from eimf_core.training.join import Ensemble
from eimf_core.training.loop import TrainingSummary
from eimf_core.training.validation import sampled_users


def folder(output: str | Path) -> Path:
    """Where the members of the model at `output` lie while they are trained."""
    target = files.resolved(output)
    return target.with_name(f".{target.name}.members")


def is_finished(member: Path, fingerprint: str) -> bool:
    """Whether a member was trained to its end by a run with this fingerprint."""
    try:
        found: bool = artifact.open_model(member).provenance["facts"]["fingerprint"] == fingerprint
    except (ConfigError, ModelError, KeyError, TypeError):
        return False
    return found


def write(
    members: list[Path], data: Dataset, settings: TrainConfig, output: str | Path, *, weights: list[float] | None,
    next_items: NextItemsConfig | None, inputs: list[Path], earlier: Sequence[OpenedModel],
    chosen: dict[str, Any] | None, reporter: Reporter,
) -> TrainingSummary:  # fmt: skip
    """Join the trained members of a run and write the model directory.

    Args:
        members: their directories.
        data: what they were trained on.
        settings: of the run.
        output: the model directory to write.
        weights: of the members where there is no validation split; None for equal ones.
        next_items: what the graph of next items counts there; None for nothing.
        inputs: the files that the run read.
        earlier: the model that the run goes on from, if it does.
        chosen: what a first training chose (`refit`).
        reporter: hears of the weights.

    Returns:
        How the run ended, for all members together.
    """
    systems = [ModelSystem(path, data) for path in members]
    facts = [system.model.provenance["facts"] for system in systems]
    machine = {name: facts[0][name] for name in ("device", "processes") if name in facts[0]}
    summaries = [TrainingSummary(**known["summary"]) for known in facts]
    more = {"summaries": [asdict(summary) for summary in summaries], **machine}
    more["fingerprint"] = setup.fingerprint(data, settings, inputs)
    more |= {} if chosen is None else {"chosen": chosen}
    more |= {"init": [known["init"] for known in facts]} if "init" in facts[0] else {}
    arguments = asdict(settings)
    about = provenance.describe(
        command="train", arguments=arguments, inputs=[*inputs], seed=settings.seed, facts={**data.facts, **more}
    )
    written = _write(
        systems, data, output, given=weights, next_items=next_items, valid_users=settings.valid_users,
        seed=settings.seed, training=arguments, about=about, earlier=earlier, reporter=reporter,
    )  # fmt: skip
    return TrainingSummary(
        epochs=sum(summary.epochs for summary in summaries),
        best_epoch=0,
        ndcg=written.ndcg,
        seconds=sum(summary.seconds for summary in summaries),
        users=summaries[0].users,
        labelled=summaries[0].labelled,
        left_out=summaries[0].left_out,
        labelled_steps=sum(summary.labelled_steps for summary in summaries) / len(summaries),
    )


def join_models(
    models: list[Path], directory: str | Path, output: str | Path, *, reporter: Reporter = SILENT
) -> Ensemble:
    """Join models that were trained apart, say on several machines: `eimf join`.

    Args:
        models: directories of models of the same catalogue, none of them an ensemble.
        directory: that prepare wrote and that they were trained on; its validation split says the weights.
        output: the model directory to write.
        reporter: hears of progress and of the weights.

    Returns:
        The members that stayed and their weights.

    Raises:
        ConfigError: models that cannot be joined.
        InputError, ModelError: for data or a model that is broken.
    """
    artifact.check_output(output)
    if len({os.path.realpath(path) for path in models}) < len(models):
        raise ConfigError("a model is given twice; train it again with another --seed to have two of its kind")
    for path in models:
        if os.path.realpath(path) == os.path.realpath(output):
            raise ConfigError(f"{output}: is one of the models that are joined; choose another output")
    with files.locked(output):
        data = dataset.load(directory, ("train", "valid"))
        # next items count once, beside the joint score
        systems = [ModelSystem(path, data, vectors_only=True) for path in models]
        for system in systems:
            if system.model.refitted:
                raise ConfigError(
                    f"{system.name}: was trained on validation lines too (--refit), which say the weights of members; "
                    "join models that were not, or train with --backbone A+B --refit"
                )
        first = systems[0].model.config
        training = {**first.training, "backbone": "+".join(system.model.config.backbone for system in systems)}
        read = [data.directory / "items.jsonl", data.directory / "sequences.jsonl"]
        about = provenance.describe(
            command="join", arguments={"models": [str(path) for path in models]},
            inputs=[*read, *(path / "manifest.json" for path in models)], seed=first.seed, facts=data.facts,
        )  # fmt: skip
        return _write(
            systems, data, output, given=None, next_items=None, valid_users=int(training.get("valid_users", 0)),
            seed=first.seed, training=training, about=about, earlier=[system.model for system in systems],
            reporter=reporter,
        )  # fmt: skip


def _write(
    systems: list[ModelSystem], data: Dataset, output: str | Path, *, given: list[float] | None,
    next_items: NextItemsConfig | None, valid_users: int, seed: int, training: dict[str, Any], about: dict[str, Any],
    earlier: Sequence[OpenedModel], reporter: Reporter,
) -> Ensemble:  # fmt: skip
    join.check([system.model for system in systems], data)
    chosen = join.choose(systems, data, given=given, valid_users=valid_users, seed=seed, reporter=reporter)
    reporter.note(chosen.described)
    contents = join.contents(chosen, data, training=training, provenance=about)
    kept = [next(system for system in systems if system.model is member) for member in chosen.members]
    rows = np.zeros(0, dtype=np.int64)
    texts = functools.partial(_texts, data, training, seed, reporter)
    if len(data.splits["valid"]):
        users, rows = sampled_users(data, valid_users, np.random.default_rng(seed), [system.known for system in kept])
    if len(rows):
        blocks = users.blocks(rows, block_size(len(data.vocab) + 1))
        weighted = join.WeightedSystem(kept, chosen.weights)
        found = next_item_choice.choose(weighted, users, blocks, data, reporter, texts=texts())
        chosen, graph = replace(chosen, ndcg=found.ndcg), found.graph
        about["facts"]["ndcg"] = found.ndcg
    else:
        graph = next_item_graph.recount(next_items, data, texts)
    contents = item_naming.with_names(contents, earlier, data)
    artifact.write(output, next_item_choice.added(contents, graph), reporter)
    return chosen


def _texts(data: Dataset, training: dict[str, Any], seed: int, reporter: Reporter) -> Arrays | None:
    """The graph of items of like texts, with the text vectors that the members started from; None with a warning where
    models were trained on another machine, whose text encoder is not here."""
    try:
        text = setup.item_texts(data, training.get("item_vectors", ""), training.get("encoder"), reporter)
    except (ConfigError, ModelError) as error:
        reporter.warn(f"items of like texts do not count in the score: {error}")
        return None
    return text_neighbours.count_if_known(text, seed)
