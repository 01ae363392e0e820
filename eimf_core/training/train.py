"""`eimf train`: from a prepared directory, and labels if there are any, to a model directory.

`train` trains one model, or the members of an ensemble one after the other (`ensemble.py`): it sets each up and runs
the loop (`loop.py`), whose steps (`step.py`) say what is minimised.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.io import files, provenance
from eimf_core.model_directory import artifact
from eimf_core.model_directory.next_items import NextItemsConfig
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.progress import SILENT, PartReporter, Reporter
from eimf_core.training import (
    ensemble,
    export,
    gradient_norms,
    item_naming,
    next_item_choice,
    next_item_graph,
    plan,
    process_group,
    refit,
    setup,
    text_neighbours,
)
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.device import CPU, choose
from eimf_core.training.loop import Loop, TrainingSummary
from eimf_core.training.plan import TrainingPlan
from eimf_core.training.process_group import Group
from eimf_core.training.run_state import LaterRuns, RunState
from eimf_core.training.setup import PreparedRun


@dataclass(frozen=True)
class _Run:
    """What all members of a run have in common. `read` are the files that it reads, `next_items` is as in
    `TrainingPlan`, `earlier` the opened model `init`, if it starts from one, `chosen` what a first training chose
    (`refit`), `later` the number of models that the command trains after these members."""

    data: Dataset
    labels: str | Path | None
    init: str | Path | None
    read: list[Path]
    group: Group
    next_items: NextItemsConfig | None
    earlier: list[OpenedModel]
    chosen: dict[str, Any] | None = None
    later: int = 0


def train(
    directory: str | Path,
    output: str | Path,
    settings: TrainConfig,
    *,
    labels: str | Path | None = None,
    epochs_from: str | Path | None = None,
    init: str | Path | None = None,
    given: Collection[str] = (),
    reporter: Reporter = SILENT,
) -> TrainingSummary:
    """Train a model on the training lines of a prepared directory.

    Test lines are never read. An interrupted run is resumed by the same command.

    Args:
        directory: that prepare wrote.
        output: the model directory, replaced as a whole at the end; what was there is kept beside it.
        settings: of the run.
        labels: that label wrote.
        epochs_from: a model whose settings are taken over, with the epochs and the weights of members that it found
            best, for data without a validation split.
        init: a model that this one starts from.
        given: names of settings that count in place of those of `epochs_from`.
        reporter: hears of progress, remarks and warnings.

    Returns:
        How the run ended.

    Raises:
        ConfigError, InputError, ModelError: for settings, data or a model that cannot be trained with or from.
    """
    # before training, not after it
    artifact.check_output(output)
    first = refit.first_training(settings) if settings.refit and epochs_from is None else settings
    planned = plan.make_plan(first, epochs_from=epochs_from, init=init, given=given)
    device = functools.partial(choose, settings.device, reporter, local_rank=process_group.local_rank())
    with setup.restored_afterwards(), process_group.joined(device) as group:
        reporter = reporter if group.is_main else SILENT
        with files.locked(output) if group.is_main else contextlib.nullcontext():
            # nobody reads a checkpoint that another run still writes
            group.barrier()
            reporter.begin(f"reading {directory}")
            data = dataset.load(directory, ("train", "valid"))
            reporter.end()
            setup.check_data(data, reporter)
            setup.set_threads(settings.threads)
            earlier = [] if init is None else [artifact.open_model(init)]
            run = _Run(data, labels, init, setup.inputs(data, labels, init), group, planned.next_items, earlier)
            _tell_what_is_dropped(data, settings, labels, epochs_from, init, reporter)
            made = _train_or_refit(run, output, planned, reporter, refitted=settings.refit, twice=epochs_from is None)
            if group.is_main:
                # of this run, or of one with --refit that was interrupted
                shutil.rmtree(refit.folder(output).parent, ignore_errors=True)
            return made


def _tell_what_is_dropped(
    data: Dataset, settings: TrainConfig, labels: str | Path | None, epochs_from: str | Path | None,
    init: str | Path | None, reporter: Reporter,
) -> None:  # fmt: skip
    """Say what an earlier model had that the command has to ask for again."""
    named = {path: f"{option} {path}" for option, path in (("--init", init), ("--epochs-from", epochs_from)) if path}
    for path, said in named.items():
        model = artifact.open_model(path)
        if model.named and labels is None:
            reporter.note(
                f"{said}: was trained with labels, this run is not, so that their names are lost; give --labels"
            )
        if path == epochs_from and model.refitted and not settings.refit and len(data.splits["valid"]):
            reporter.note(f"{said}: was trained with --refit; say --refit to train on validation lines this time too")


def _train_or_refit(
    run: _Run, output: str | Path, planned: TrainingPlan, reporter: Reporter, *, refitted: bool, twice: bool
) -> TrainingSummary:
    """Train, with `refitted` on validation lines as well; `twice` where these have to choose first."""
    if not refitted:
        if any(model.refitted for model in run.earlier) and len(run.data.splits["valid"]):
            reporter.warn(
                f"--init {run.init}: was trained on validation lines too (--refit); where they are those of this data, "
                "they choose too many epochs and figures of them say nothing: start from a model without --refit"
            )
        return _train(run, output, planned, reporter)
    refit.check(run.data)
    if twice:
        return _train_twice(run, output, planned, reporter)
    return _train(replace(run, data=refit.with_validation(run.data)), output, planned, reporter)


def _train_twice(run: _Run, output: str | Path, planned: TrainingPlan, reporter: Reporter) -> TrainingSummary:
    """Train on training lines, then as the validation split chose on its lines too; what ended is not done again."""
    path, group = refit.folder(output), run.group
    # as a model, or its last member, describes the run that it is from
    fingerprint = setup.fingerprint(run.data, planned.settings, run.read)
    (finished,) = group.broadcast(float(group.is_main and ensemble.is_finished(path, fingerprint)))
    before = TrainingSummary(0, 0, None, 0.0, 0, 0, {}, 0.0)
    if finished:
        reporter.note("--refit: the validation split has chosen already")
    else:
        reporter.note("--refit: the validation split chooses first, then training starts over with its lines added")
        before = _train(replace(run, later=len(planned.members)), path, planned, reporter)
    # nobody reads a model that another process still writes
    group.barrier()
    again = _refit_plan(path, planned)
    ndcg = refit.validation_ndcg(path)
    chosen = {"ndcg": ndcg, "epochs": [member.epochs for member in again.members]}
    run = replace(run, data=refit.with_validation(run.data), next_items=again.next_items, chosen=chosen)
    made = _train(run, output, again, PartReporter(reporter, "refit", set()))
    return replace(
        made, ndcg=ndcg, best_epoch=before.best_epoch, epochs=before.epochs + made.epochs,
        seconds=before.seconds + made.seconds,
    )  # fmt: skip


def _refit_plan(path: Path, planned: TrainingPlan) -> TrainingPlan:
    """The plan of the second training, with what the model of the first one at `path` has: its members start from where
    they started, in the same time."""
    again = plan.make_plan(replace(planned.settings, refit=True, max_minutes=None), epochs_from=path, given=[])
    started = {(each.backbone, each.seed): place for each, place in zip(planned.members, planned.places, strict=True)}
    places = [started[member.backbone, member.seed] for member in again.members]
    total = planned.settings.max_minutes
    limit = None if total is None else total / len(again.members)
    members = [replace(member, max_minutes=limit) for member in again.members]
    return replace(again, members=members, places=places)


def _train(run: _Run, output: str | Path, planned: TrainingPlan, reporter: Reporter) -> TrainingSummary:
    """Train a model, or the members of an ensemble."""
    if len(planned.members) == 1:
        return _train_one(run, output, planned.members[0], planned.places[0], reporter, LaterRuns(run.later))
    return _train_members(run, output, planned, reporter)


def _train_members(run: _Run, output: str | Path, planned: TrainingPlan, reporter: Reporter) -> TrainingSummary:
    """Train the members that are not finished yet, join them, and remove what they were joined from."""
    work, group, count = ensemble.folder(output), run.group, len(planned.members)
    paths: list[Path] = []
    warned: set[str] = set()
    taken: list[float] = []
    for number, (member, place) in enumerate(zip(planned.members, planned.places, strict=True), start=1):
        path = work / f"{number}-{member.backbone}"
        said = PartReporter(reporter, f"member {number} of {count}, {member.backbone}", warned)
        fingerprint = setup.fingerprint(run.data, member, run.read)
        (finished,) = group.broadcast(float(group.is_main and ensemble.is_finished(path, fingerprint)))
        if finished:
            said.note("is trained already")
        else:
            later = LaterRuns(count - number + run.later, [*taken])
            taken.append(_train_one(run, path, member, place, said, later, alone=False).seconds)
        paths.append(path)
    if not group.is_main:
        # the first process alone joins; what the others say is not heard
        return TrainingSummary(0, 0, None, sum(taken), 0, 0, {}, 0.0)
    made = ensemble.write(
        paths, run.data, planned.settings, output, weights=planned.weights, next_items=planned.next_items,
        inputs=run.read, earlier=run.earlier, chosen=run.chosen, reporter=reporter,
    )  # fmt: skip
    shutil.rmtree(work, ignore_errors=True)
    return made


def _train_one(
    run: _Run, output: str | Path, settings: TrainConfig, place: int, reporter: Reporter, later: LaterRuns, *,
    alone: bool = True,
) -> TrainingSummary:  # fmt: skip
    """Train a model, or with `alone` false a member of an ensemble, and write its directory.

    `place`: the member of the model `init` that it starts from. `later`: what the command trains after it.
    """
    data, group = run.data, run.group
    reporter.begin("preparing the run")
    prepared = group.main_process_first(
        lambda: setup.prepare(
            data, settings, run.labels, reporter, init=run.init, init_member=place, device=group.device
        )
    )
    reporter.end()
    checkpoint = Checkpoint(output, setup.fingerprint(data, settings, run.read))
    loop = Loop(data, settings, prepared, reporter, group, later)
    state = loop.start(checkpoint)
    loop.run(state, checkpoint)
    summary = loop.summary(state)
    if group.is_main:
        summary = _write(output, run, loop, prepared, state, checkpoint, alone=alone)
        checkpoint.remove()
    return summary


def _write(
    output: str | Path, run: _Run, loop: Loop, prepared: PreparedRun, state: RunState, checkpoint: Checkpoint, *,
    alone: bool,
) -> TrainingSummary:  # fmt: skip
    """Write the weights of the best epoch as a model directory; how the run ended, with what counts beside them."""
    data, settings, learner, reporter = loop.data, loop.settings, prepared.learner, loop.reporter
    best = checkpoint.load_best()
    if best is not None:
        learner.load_weights(best)
    learner.move(CPU)
    if state.collapsed:
        reporter.warn("the interests of a user are nearly all the same; try a smaller --interests or another --seed")
    for part in gradient_norms.larger_than_prediction(state.written):
        reporter.warn(
            f"the gradient norm of the loss '{part}' is larger than that of the prediction; "
            "lower its weight in --config (eimf train --help-all lists them)"
        )
    summary, graph = loop.summary(state), None
    texts = functools.partial(text_neighbours.count_if_known, prepared.text, settings.seed)
    if alone and loop.validation is not None:
        chosen = loop.validation.choose_next_items(learner.backbone, learner.table.all(), data, texts(), reporter)
        summary, graph = replace(summary, ndcg=chosen.ndcg), chosen.graph
    elif alone:
        graph = next_item_graph.recount(run.next_items, data, texts)
    facts: dict[str, Any] = {"summary": asdict(summary), **loop.machine}
    facts["fingerprint"] = setup.fingerprint(data, settings, run.read)
    facts |= {} if prepared.start is None else {"init": prepared.start}
    facts |= {} if run.chosen is None else {"chosen": run.chosen}
    described = provenance.describe(
        command="train",
        arguments=asdict(settings),
        inputs=[*run.read],
        seed=settings.seed,
        facts={**data.facts, **facts},
    )
    reporter.begin(f"writing {output}")
    contents = export.contents(prepared, data, settings, epochs=state.lines, provenance=described)
    if alone:
        contents = item_naming.with_names(contents, run.earlier, data)
    artifact.write(output, next_item_choice.added(contents, graph), reporter)
    reporter.end()
    return summary
