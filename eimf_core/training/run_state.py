"""Where a run stands: epoch, step, time used, figures so far, and whether it is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eimf_core.models import registry
from eimf_core.progress import duration
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_losses import LABEL_LOSSES
from eimf_core.training.step import StepResult
from eimf_core.training.validation import ValidationFigures

CHECKPOINT_SECONDS = 30.0
KEPT = (
    "epoch", "step", "lines", "best", "best_epoch", "seconds", "epoch_seconds", "sums", "pairs", "norm", "stopped",
    "threads", "gradient_norms", "norm_steps", "steps", "labelled",
)  # fmt: skip
"""What a checkpoint keeps."""


@dataclass(frozen=True)
class LaterRuns:
    """The trainings of the same command that come after a run: how many, and the seconds of those before it that are
    like them."""

    number: int = 0
    before: Sequence[float] = ()

    def seconds(self, own: float) -> float:
        """How long they take, about, where the run itself takes so many seconds."""
        return self.number * (sum(self.before) / len(self.before) if self.before else own)


class RunState:
    """Counts steps and epochs, and decides when to stop. `facts` and `resume` survive a kill."""

    def __init__(self, settings: TrainConfig, later: LaterRuns = LaterRuns(), *, validated: bool = True) -> None:
        """`validated`: a validation split may end the run before its last epoch."""
        self._settings, self._later = settings, later
        self._may_stop = validated and settings.patience > 0
        self.epoch = 0
        self.step = 0
        self.threads = 1
        self.lines: list[dict[str, Any]] = []
        self.best: float | None = None
        self.best_epoch = 0
        self.seconds = 0.0  # over all starts of this run
        self.epoch_seconds = 0.0
        self.sums: dict[str, float] = {}
        self.pairs = 0
        self.norm = 0.0
        self.gradient_norms: dict[str, float] = {}
        self.norm_steps = 0
        self.steps = self.labelled = 0
        self._mark = self._saved = time.monotonic()
        self.stopped = False

    def start_clock(self) -> None:
        """The time from here on counts."""
        self._mark = self._saved = time.monotonic()

    def _tick(self) -> None:
        now = time.monotonic()
        self.seconds += now - self._mark
        self.epoch_seconds += now - self._mark
        self._mark = now

    @property
    def out_of_time(self) -> bool:
        limit = self._settings.max_minutes
        return limit is not None and self.seconds >= 60.0 * limit

    @property
    def over(self) -> bool:
        return self.stopped or self.out_of_time or self.epoch >= self._settings.epochs

    def share(self, epochs: float) -> float:
        """How much of the planned epochs or of the time limit is used up after so many epochs."""
        limit = self._settings.max_minutes
        return max(epochs / self._settings.epochs, 0.0 if limit is None else self.seconds / (60.0 * limit))

    @property
    def checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved >= CHECKPOINT_SECONDS

    def shown(self, epochs: float) -> dict[str, str]:
        """What stands beside a progress bar after so many epochs (1.5: half of the second)."""
        figures = {"loss": self.mean_loss, "rate": self.rate}
        if self.lines and "valid" in self.lines[-1]:
            figures["NDCG@10"] = f"{self.lines[-1]['valid']['ndcg@10']:.4f} (best {self.best:.4f})"
        used = self.share(epochs)
        if used > 0:
            figures["left"] = self._left(max(self.seconds, self.seconds / used))
        return figures

    def _left(self, own: float) -> str:
        """How long the rest of the command takes, where this run takes so many seconds to its last epoch."""
        rest = own - self.seconds
        if self._later.number:
            return f"about {duration(rest + self._later.seconds(own))}"
        return f"{'at most' if self._may_stop else 'about'} {duration(rest)}"

    @property
    def mean_loss(self) -> str:
        return f"{sum(self.sums.values()) / max(1, self.step):.3f}"

    @property
    def rate(self) -> str:
        return f"{self.pairs / max(1e-9, self.epoch_seconds):,.0f}/s"

    @property
    def labelled_steps(self) -> float:
        """The share of all steps so far that saw a labelled user."""
        return self.labelled / max(1, self.steps)

    def gradient_norms_due(self, every: int) -> bool:
        """Whether the next step of this epoch, or the first after it that can, is to measure the gradient norms of
        the parts of the loss: one in so many steps."""
        return self.step >= every * self.norm_steps

    def count(self, result: StepResult, pairs: int) -> None:
        """A step with so many (history, target) pairs is done."""
        self.step += 1
        self.steps += 1
        self.labelled += any(name in result.losses for name in LABEL_LOSSES)
        self.pairs += pairs
        self.norm += result.norm
        for name, value in result.losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        if result.gradient_norms is not None:
            self.norm_steps += 1
            for name, norm in result.gradient_norms.items():
                self.gradient_norms[name] = self.gradient_norms.get(name, 0.0) + norm
        self._tick()

    def end_epoch(self, figures: ValidationFigures, *, padding: float) -> bool:
        """An epoch is done; true when its weights are the best so far."""
        steps = max(1, self.step)
        training_seconds = self.epoch_seconds
        self._tick()
        self.epoch += 1
        line: dict[str, Any] = {
            "epoch": self.epoch,
            "loss": {name: value / steps for name, value in self.sums.items()},
            "gradient_norm": self.norm / steps,
            "pairs": self.pairs,
            "pairs_per_second": self.pairs / max(1e-9, training_seconds),
            "padding": padding,
            "seconds": self.seconds,
        }
        if self.norm_steps:
            line["gradients"] = {name: norm / self.norm_steps for name, norm in self.gradient_norms.items()}
        line["collapse"] = figures.collapse
        better = False
        if figures.ndcg is not None:
            line["valid"] = {"ndcg@10": figures.ndcg}
            better = self.best is None or figures.ndcg > self.best
            if better:
                self.best, self.best_epoch = figures.ndcg, self.epoch
            waited = self.epoch - self.best_epoch
            self.stopped = self._settings.patience > 0 and waited >= self._settings.patience
        else:
            self.best_epoch = self.epoch
        self.lines.append(line)
        self.step, self.pairs, self.norm, self.sums, self.epoch_seconds = 0, 0, 0.0, {}, 0.0
        self.gradient_norms, self.norm_steps = {}, 0
        return better

    @property
    def last_line(self) -> str:
        """The last epoch in words."""
        line = self.lines[-1]
        parts = ", ".join(f"{name} loss {value:.4f}" for name, value in line["loss"].items())
        valid = f", validation NDCG@10 {line['valid']['ndcg@10']:.4f}" if "valid" in line else ""
        best = " (best)" if self.best_epoch == line["epoch"] and valid else ""
        rate, seconds = f"{line['pairs_per_second']:,.0f} pairs/s", f"{line['seconds']:,.0f} s"
        return f"epoch {line['epoch']}: {parts}{valid}{best}, {rate}, {seconds}"

    @property
    def written(self) -> dict[str, Any]:
        """What the epoch was like whose weights the model gets; empty before the first."""
        return self.lines[self.best_epoch - 1] if self.lines else {}

    @property
    def collapsed(self) -> bool:
        """Whether the interests of the model are nearly all the same."""
        limit: float = registry.load(self._settings.backbone).extractor_type.collapsed
        return float(self.written.get("collapse", 0.0)) > limit

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        self._saved = time.monotonic()
        return {name: getattr(self, name) for name in KEPT}

    def resume(self, facts: dict[str, Any]) -> None:
        """Go on from what `facts` gave."""
        for name in KEPT:
            setattr(self, name, facts[name])
