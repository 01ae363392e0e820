"""The steps as functions: paths and frames in, files out, and a small record of what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from eimf.paths import AnyPath, path_if, path_of
from eimf.record_lists import Figures
from eimf.reporting import named_as_arguments, reporter_or_quiet
from eimf.setting_types import ClusterSettings, EvalSettings, LabelSettings, PrepareSettings, TrainSettings
from eimf.tables import lines_of
from eimf_core.errors import ConfigError
from eimf_core.progress import Reporter
from eimf_core.setting_values import settings_of

if TYPE_CHECKING:
    from eimf_core.clustering.sample_files import WrittenSamples
    from eimf_core.labeling.label import LabelSummary as Labelled
    from eimf_core.prepare.prepare import Prepared
    from eimf_core.training.loop import TrainingSummary as Trained


def prepare(
    log: Any, output: AnyPath, *, items: Any = None, users: AnyPath | None = None, force: bool = False,
    reporter: Reporter | None = None, **settings: Unpack[PrepareSettings],
) -> Prepared:  # fmt: skip
    """Read a log and the titles of its items; write the directory that the other steps read.

    Args:
        log: a path or several (files of any format, patterns, a published folder), or a table in memory: a frame of
            pandas or polars, a table of pyarrow, a relation of DuckDB, or a list of dictionaries. A table is checked
            as a file is.
        output: the directory to write.
        items: likewise, item text; by default what lies beside the log.
        users: a partition of the users made elsewhere, for `split="by-user"`.
        force: whether files that no run of eimf wrote may be replaced.
        reporter: hears of progress and remarks; without one warnings are Python's.
        settings: of `PrepareConfig`, such as `split="leave-one-out"` or `min_user=5`.

    Returns:
        The directory, and the report on what was read, dropped and split.

    Raises:
        ConfigError: for settings and paths that do not work.
        InputError: for data that does not; it names file (or table), row and field.

    >>> done = eimf.prepare("examples/shop/interactions.csv", "data/", items="examples/shop/items.jsonl")
    >>> done.formats, done.report.splits["train"].users
    (['csv'], 1983)
    >>> rows = [{"user": 1, "item": "a", "time": at} for at in range(9)]
    >>> eimf.prepare(rows, "small/", split="none").report.splits["train"].interactions
    9
    """
    from eimf_core.prepare.config import PrepareConfig
    from eimf_core.prepare.prepare import prepare as run

    with named_as_arguments():
        return run(
            _inputs(log, "<log>"),
            path_of(output, "output"),
            settings_of(PrepareConfig, settings),
            items=[] if items is None else _inputs(items, "<items>"),
            users=path_if(users, "users"),
            force=force,
            reporter=reporter_or_quiet(reporter),
        )


def _inputs(given: Any, name: str) -> list[Any]:
    """Paths, or tables in memory."""
    from eimf_core.prepare.memory_tables import MemoryTable

    if isinstance(given, str | PathLike):
        return [path_of(given, name)]
    if isinstance(given, Sequence) and given and not isinstance(given[0], Mapping | list | tuple):
        return [each for one in given for each in _inputs(one, name)]
    return [MemoryTable(given, name)]


def cluster(
    data: AnyPath, output: AnyPath, *, summary: AnyPath | None = None, force: bool = False,
    reporter: Reporter | None = None, **settings: Unpack[ClusterSettings],
) -> WrittenSamples:  # fmt: skip
    """Choose representative users, whom `label` describes.

    Args:
        data: the directory that `prepare` wrote.
        output: a file for Sample lines.
        summary: a file for a line for each cluster.
        force: whether files that no run of eimf wrote may be replaced.
        reporter: hears of progress and remarks; without one warnings are Python's.
        settings: of `ClusterConfig`, such as `budget="10%"`.

    Returns:
        How many users were chosen, and what each cluster is about.

    Raises:
        ConfigError, InputError, ModelError: for settings, data or a text encoder that do not work.

    >>> eimf.cluster("data/", "samples.jsonl", budget="20", clusters="4").samples
    20
    """
    from eimf_core.clustering import sample_files
    from eimf_core.clustering.config import ClusterConfig

    with named_as_arguments():
        return sample_files.write(
            path_of(data, "data"), path_of(output, "output"), settings_of(ClusterConfig, settings),
            summary=path_if(summary, "summary"), force=force, reporter=reporter_or_quiet(reporter),
        )  # fmt: skip


def label(
    samples: Any, output: AnyPath, *, force: bool = False, reporter: Reporter | None = None,
    **settings: Unpack[LabelSettings],
) -> Labelled:  # fmt: skip
    """Ask for the interests behind the histories of samples; an interrupted run resumes.

    Args:
        samples: the file that `cluster` wrote, or its lines: a frame, or a list of dictionaries.
        output: a file for Label lines.
        force: whether files that no run of eimf wrote may be replaced; labels of other settings are given up with
            `discard=True` alone.
        reporter: hears of progress and remarks; without one warnings are Python's.
        settings: of `LabelConfig`, such as `model="instruct.gguf"` or `engine="keywords"`.

    Returns:
        How many users were labelled, and how.

    Raises:
        ConfigError, InputError, ModelError: for settings, samples or a language model that do not work.
        LabelError: where too many users have no label.

    >>> eimf.label("samples.jsonl", "labels.jsonl", engine="categories", items="data/items.jsonl").labels
    20
    """
    from eimf_core.labeling import label as labeling
    from eimf_core.labeling.config import LabelConfig

    with named_as_arguments():
        made = settings_of(LabelConfig, settings)
        if made.dry_run:
            raise ConfigError("dry_run shows prompts on the command line: eimf label --dry-run")
        with lines_of(samples, "samples") as read:
            written = path_of(output, "output")
            return labeling.label(read, written, made, force=force, reporter=reporter_or_quiet(reporter))


def train(
    data: AnyPath, output: AnyPath, *, labels: Any = None, epochs_from: AnyPath | None = None,
    init: AnyPath | None = None, fast: bool = False, reporter: Reporter | None = None,
    **settings: Unpack[TrainSettings],
) -> Trained:  # fmt: skip
    """Train a model; an interrupted run resumes, and a model that was there is kept as OUTPUT.previous.

    Args:
        data: the directory that `prepare` wrote.
        output: the model directory to write.
        labels: the file that `label` wrote, for names of interests, or its lines: a frame, or a list of dictionaries
            with `user` and `interests`.
        epochs_from: an earlier model: train as it was, for the epochs that it found best.
        init: an earlier model to start from.
        fast: train one member alone, for fewer epochs: a little worse, in a third of the time.
        reporter: hears of progress and remarks; without one warnings are Python's.
        settings: of `TrainConfig`, such as `backbone="narm"`, `epochs=10` or `seed=1`.

    Returns:
        How the run ended: epochs, seconds, and NDCG@10 on the validation split.

    Raises:
        ConfigError, InputError, ModelError: for settings, data or a model that cannot be trained with or from.

    >>> done = eimf.train("data/", "model/", backbone="narm", epochs=1, dimension=16, labels="labels.jsonl")
    >>> done.epochs, done.ndcg > 0.01
    (1, True)
    """
    from eimf_core.training import config

    with named_as_arguments():
        made, given = settings_of(config.TrainConfig, settings), frozenset(settings)
        read, written, earlier = path_of(data, "data"), path_of(output, "output"), path_if(init, "init")
        if fast:
            made, given = config.as_fast(made, given, epochs_from=epochs_from)
        # torch, after all that can be told without it
        from eimf_core.training import plan
        from eimf_core.training import train as training

        if earlier is not None and epochs_from is None:
            made = plan.as_init(made, earlier, given)
        with nullcontext() if labels is None else lines_of(labels, "labels") as label_lines:
            return training.train(
                read, written, made, labels=label_lines, epochs_from=path_if(epochs_from, "epochs_from"),
                init=earlier, given=given, reporter=reporter_or_quiet(reporter),
            )  # fmt: skip


def evaluate(
    models: AnyPath | Sequence[AnyPath], data: AnyPath, *, output: AnyPath | None = None,
    per_user: AnyPath | None = None, report: AnyPath | None = None, force: bool = False,
    reporter: Reporter | None = None, **settings: Unpack[EvalSettings],
) -> Figures:  # fmt: skip
    """Measure how well models rank what came next, beside baselines, each figure with its 95 % interval.

    Args:
        models: one model directory or several.
        data: the directory that `prepare` wrote.
        output: a file for the figures as Metric lines.
        per_user: a file for the values of every user.
        report: a file for one page to look at.
        force: whether files that no run of eimf wrote may be replaced.
        reporter: hears of progress and remarks; without one warnings are Python's.
        settings: of `EvalConfig`, such as `k=[10]`, `metrics=["all"]` or `slice=["history"]`.

    Returns:
        The figures.

    Raises:
        ConfigError, InputError, ModelError: for settings, data or a model that cannot be measured.

    >>> figures = eimf.evaluate("model/", "data/", k=[10], baselines="none", resamples=100)
    >>> [record.metric for record in figures]
    ['recall', 'hit_rate', 'ndcg', 'mrr']
    >>> 0 < figures.value("ndcg", 10) < 1
    True
    """
    from eimf_core.evaluation import metric_files
    from eimf_core.evaluation.config import EvalConfig

    given = [models] if isinstance(models, str | PathLike) or not isinstance(models, Iterable) else list(models)
    if not given:
        raise ConfigError("give at least one model directory")
    with named_as_arguments():
        made = settings_of(EvalConfig, settings)
        return Figures(
            metric_files.write(
                [path_of(each, "models") for each in given], path_of(data, "data"), made,
                output=path_if(output, "output"), per_user=path_if(per_user, "per_user"),
                report=path_if(report, "report"), force=force,
                reporter=reporter_or_quiet(reporter),
            )
        )  # fmt: skip
