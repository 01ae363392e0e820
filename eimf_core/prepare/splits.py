"""Splits: for each user, how far the training part, the histories and the targets reach.

Every part of a user begins with the first interaction, so two numbers a split say it all: where the
history ends and where the targets end. What lies behind the last of them is in no line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ConfigError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_arrays import Log

Ends = npt.NDArray[np.int64]
HELD_OUT = ("valid", "test")
NOT_IN_LOG = "in --users, but not in the log or filtered out"
LONG_ENOUGH = 3
"""Interactions from which on leave-one-out takes the last two away."""


@dataclass(frozen=True)
class SplitPlan:
    """What goes where. All positions are rows of the log, int64.

    train (U,): end of the training part, equal to the user's first row where there is no line.
    history (U,) and targets (U,) by split: where they end; equal where there is no line.
    facts: for the sidecar. left_out: by split, users without a line, by reason.
    """

    train: Ends
    history: dict[str, Ends]
    targets: dict[str, Ends]
    facts: dict[str, Any]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    def used(self, log: Log) -> int:
        """Interactions that stand in at least one line."""
        ends = np.maximum.reduce([self.train, *self.targets.values()])
        return int((ends - log.offsets[:-1]).sum())


def plan_split(log: Log, config: PrepareConfig, partition: dict[str, str] | None = None) -> SplitPlan:
    """The plan of a split.

    Args:
        log: U users, behind all filters.
        config: which split, and its settings.
        partition: user id to split, of a by-user split that was made elsewhere.

    Returns:
        Where each part of each user ends.
    """
    if config.split == "temporal":
        valid_from, test_from = config.seconds("valid_from"), config.seconds("test_from")
        points = None if valid_from is None or test_from is None else (valid_from, test_from)
        return temporal(
            log,
            valid_share=config.valid_share,
            test_share=config.test_share,
            points=points,
            target=config.target,
        )
    if config.split == "leave-one-out":
        return leave_one_out(log)
    if config.split == "by-user":
        if partition is None:
            return by_user(log, drawn_groups(log, config), {"seed": config.seed})
        plan = by_user(log, groups_of(log, partition), {"users": "given"})
        for name, count in _missing_users(log, partition).items():
            plan.left_out.setdefault(name, {})[NOT_IN_LOG] = count
        return plan
    return SplitPlan(train=log.offsets[1:], history={}, targets={}, facts={"split": "none", "targets": "next"})


def temporal(
    log: Log,
    *,
    valid_share: float = 0.1,
    test_share: float = 0.1,
    points: tuple[float, float] | None = None,
    target: str = "last",
) -> SplitPlan:
    """Two global time points; what a user did between them, or after the second, is to be predicted.

    The history is everything of the user before the target, so nothing in it is later.

    Args:
        log: a log with times.
        valid_share, test_share: shares of the interactions that lie between the points and behind them.
        points: the time points instead, in unix seconds.
        target: what of a user's period is the target: the last interaction, the first, or all.

    Raises:
        ConfigError: where nothing lies before the first point.
    """
    assert log.times is not None
    start, end = log.offsets[:-1], log.offsets[1:]
    valid_from, test_from = points or time_points(log.times, valid_share, test_share)
    if valid_from <= log.times.min():
        raise ConfigError(
            "nothing lies before the first time point; set --valid-from and --test-from, lower --valid-share "
            "and --test-share, or choose --split leave-one-out, by-user or none"
        )
    before = _rows_before(log, valid_from), _rows_before(log, test_from)
    history, targets, left_out = {}, {}, {}
    for name, opens, closes in (("valid", before[0], before[1]), ("test", before[1], end)):
        active = closes > opens
        if target == "last":
            cut, stop = closes - 1, closes
        else:
            # a user who is new in the period is predicted from the first item on
            cut = np.maximum(opens, start + 1)
            stop = np.minimum(cut + 1, closes) if target == "first" else closes
        line = active & (cut > start) & (stop > cut)
        history[name] = np.where(line, cut, start)
        targets[name] = np.where(line, stop, start)
        left_out[name] = {
            "nothing in the period": int((~active).sum()),
            "nothing to predict from": int((active & ~line).sum()),
        }
    facts = {
        "split": "temporal",
        "targets": "all" if target == "all" else "next",
        "target": target,
        "valid_from": valid_from,
        "test_from": test_from,
    }
    return SplitPlan(train=before[0], history=history, targets=targets, facts=facts, left_out=left_out)


def time_points(times: npt.NDArray[np.float64], valid_share: float, test_share: float) -> tuple[float, float]:
    """Times such that these shares of the interactions lie between them and after the second."""
    last = len(times) - 1
    first = min(int(len(times) * (1 - valid_share - test_share)), last)
    second = min(int(len(times) * (1 - test_share)), last)
    ordered = np.partition(times, (first, second))
    # nothing is to be held out: a point behind the last interaction
    test_from = float(ordered[second]) if test_share else float(np.nextafter(times.max(), np.inf))
    return (float(ordered[first]) if valid_share else test_from), test_from


def _rows_before(log: Log, point: float) -> Ends:
    """Per user the first row that is not earlier than a time."""
    assert log.times is not None
    ends = np.empty(len(log.user_ids), dtype=np.int64)
    for first, last in log.chunks():
        offsets = log.offsets[first : last + 1]
        earlier = np.concatenate([[0], np.cumsum(log.times[offsets[0] : offsets[-1]] < point)])
        bounds = offsets - offsets[0]
        ends[first:last] = offsets[:-1] + earlier[bounds[1:]] - earlier[bounds[:-1]]
    return ends


def leave_one_out(log: Log) -> SplitPlan:
    """The last interaction is the test target, the one before it the validation target.

    Users with fewer than three interactions are trained on whole.
    """
    start, end = log.offsets[:-1], log.offsets[1:]
    enough = end - start >= LONG_ENOUGH
    short = {f"fewer than {LONG_ENOUGH} interactions": int((~enough).sum())}
    return SplitPlan(
        train=np.where(enough, end - 2, end),
        history={"valid": np.where(enough, end - 2, start), "test": np.where(enough, end - 1, start)},
        targets={"valid": np.where(enough, end - 1, start), "test": np.where(enough, end, start)},
        facts={"split": "leave-one-out", "targets": "next"},
        left_out={name: dict(short) for name in HELD_OUT},
    )


def drawn_groups(log: Log, config: PrepareConfig) -> npt.NDArray[np.str_]:
    """A split for each user, drawn with the seed; shares are rounded down."""
    users = len(log.user_ids)
    groups = np.full(users, "train", dtype="<U5")
    order = np.random.default_rng(config.seed).permutation(users)
    valid, test = int(users * config.valid_share), int(users * config.test_share)
    groups[order[:valid]] = "valid"
    groups[order[valid : valid + test]] = "test"
    return groups


def groups_of(log: Log, partition: dict[str, str]) -> npt.NDArray[np.str_]:
    """The split of each user in a partition made elsewhere.

    Args:
        log: U users.
        partition: user id to split.

    Returns:
        str (U,); "" for users that it does not have.

    Raises:
        ConfigError: none of its training users is in the log.
    """
    groups = np.array([partition.get(user, "") for user in log.user_ids], dtype="<U5")
    if not (groups == "train").any():
        raise ConfigError("--users: none of its training users is in the log; are these the same user ids?")
    return groups


def _missing_users(log: Log, partition: dict[str, str]) -> Counter[str]:
    """Users of a partition that the log does not have, by split."""
    in_log = set(log.user_ids)
    return Counter(split for user, split in partition.items() if user not in in_log)


def by_user(log: Log, groups: npt.NDArray[np.str_], facts: dict[str, Any]) -> SplitPlan:
    """Training users are trained on whole; of the others the first int(0.8 n) items are the history.

    After the protocol of ComiRec (Cen et al., KDD 2020): all later items are the targets.
    """
    start, end = log.offsets[:-1], log.offsets[1:]
    cut = start + (end - start) * 4 // 5
    history, targets, left_out = {}, {}, {}
    for name in HELD_OUT:
        members = groups == name
        line = members & (cut > start)
        history[name] = np.where(line, cut, start)
        targets[name] = np.where(line, end, start)
        left_out[name] = {"a single interaction": int((members & ~line).sum())}
    without_group = int((groups == "").sum())
    if without_group:
        left_out["train"] = {"not in --users": without_group}
    return SplitPlan(
        train=np.where(groups == "train", end, start),
        history=history,
        targets=targets,
        facts={"split": "by-user", "targets": "all", **facts},
        left_out=left_out,
    )
