"""`eimf train`: from a prepared directory, and labels if there are any, to a model directory.

`train` sets everything up and runs the loop (`loop.py`), whose steps (`step.py`) say what is minimised.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eimf_core import artifact, dataset, files, provenance
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import distributed, export, gradient_norms, setup
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.device import CPU, choose
from eimf_core.training.loop import Loop, Summary
from eimf_core.training.run_state import RunState
from eimf_core.training.setup import Prepared


def train(
    directory: str | Path,
    output: str | Path,
    settings: TrainConfig,
    *,
    labels: str | Path | None = None,
    epochs_from: str | Path | None = None,
    init: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Summary:
    """Train a model on the training lines of a prepared directory.

    Test lines are never read. An interrupted run of the same command goes on where it was.

    Args:
        directory: that prepare wrote.
        output: the model directory, replaced as a whole at the end.
        settings: of the run.
        labels: that label wrote.
        epochs_from: a model whose best epoch says for how many this one trains, for data without a validation split.
        init: a model that this one starts from.
        reporter: hears of progress, remarks and warnings.

    Returns:
        How the run ended.

    Raises:
        ConfigError, InputError, ModelError: for settings, data or a model that cannot be trained with or from.
    """
    # before training, not after it
    artifact.check_output(output)
    if epochs_from is not None:
        settings = replace(settings, epochs=setup.best_epoch(epochs_from))
    chosen = functools.partial(choose, settings.device, reporter, local_rank=distributed.local_rank())
    with distributed.joined(chosen) as group:
        reporter = reporter if group.first else SILENT
        with files.locked(output) if group.first else contextlib.nullcontext():
            # nobody reads a checkpoint that another run still writes
            group.wait()
            reporter.begin(f"reading {directory}")
            data = dataset.load(directory, ("train", "valid"))
            reporter.end()
            setup.check_data(data, reporter)
            setup.set_threads(settings.threads)
            reporter.begin("preparing the run")
            prepared = group.first_before_others(
                lambda: setup.prepare(data, settings, labels, reporter, init=init, device=group.device)
            )
            reporter.end()
            read = setup.inputs(data, labels, init)
            checkpoint = Checkpoint(output, setup.fingerprint(data, settings, read))
            loop = Loop(data, settings, prepared, reporter, group)
            state = loop.start(checkpoint)
            loop.run(state, checkpoint)
            summary = loop.summary(state)
            if group.first:
                _write(output, loop, prepared, state, checkpoint, read)
                checkpoint.remove()
    return summary


def _write(
    output: str | Path, loop: Loop, prepared: Prepared, state: RunState, checkpoint: Checkpoint,
    read: list[Path],
) -> None:  # fmt: skip
    """Write the weights of the best epoch as a model directory."""
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
    facts: dict[str, Any] = {"summary": asdict(loop.summary(state)), **loop.machine}
    facts |= {} if prepared.start is None else {"init": prepared.start}
    described = provenance.describe(
        command="train", arguments=asdict(settings), inputs=[*read], seed=settings.seed, facts={**data.facts, **facts}
    )
    reporter.begin(f"writing {output}")
    contents = export.contents(prepared, data, settings, epochs=state.lines, provenance=described)
    artifact.write(output, contents)
    reporter.end()
