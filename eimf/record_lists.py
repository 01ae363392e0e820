"""Results as lists of records, which become frames of pandas or polars where these are installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from eimf_core.records import Metric, RankedItem, Recommendation, Record, ResolvedHistory, UserInterest

if TYPE_CHECKING:
    import pandas
    import polars

    from eimf_core.evaluation.evaluate import Evaluation

R = TypeVar("R", bound=Record)


class RecordList(Sequence[R], Generic[R]):
    """Records in order; `to_list` gives them as dictionaries, with all fields of their kind."""

    def __init__(self, records: Iterable[R], columns: dict[str, str]) -> None:
        """`columns`: of a frame, each with the kind of its values, such as "int", whether or not it has any."""
        self._records, self._columns = list(records), columns

    @overload
    def __getitem__(self, at: int) -> R: ...
    @overload
    def __getitem__(self, at: slice) -> list[R]: ...
    def __getitem__(self, at: int | slice) -> R | list[R]:
        return self._records[at]

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordList) and self._records == other._records

    def to_list(self) -> list[dict[str, Any]]:
        """The records as plain dictionaries."""
        return [{name: getattr(record, name) for name in record.__struct_fields__} for record in self._records]

    def to_pandas(self) -> pandas.DataFrame:
        """A frame of pandas, a row a record.

        Raises:
            ImportError: pandas is not installed.
        """
        frame: pandas.DataFrame = _library("pandas", "to_pandas").DataFrame(self.to_list(), columns=[*self._columns])
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A frame of polars, a row a record.

        Raises:
            ImportError: polars is not installed.
        """
        library = _library("polars", "to_polars")
        rows = self.to_list()
        columns = {name: [row[name] for row in rows] for name in self._columns}
        # of a column without values, so that frames of several answers go together
        kinds = {"int": library.Int64, "float": library.Float64, "str": library.String}
        known = {name: kinds[kind] for name, kind in self._columns.items() if kind in kinds}
        frame: polars.DataFrame = library.DataFrame(columns, schema_overrides=known, strict=False)
        return frame


def _library(name: str, method: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{method} needs {name}, which is not installed; pip install {name}") from None


class Recommendations(RecordList[RankedItem]):
    """The items of an answer, best first, each with rank, item, title, score and the index of its interest.

    Attributes:
        answer: the whole Recommendation, as `eimf recommend` writes it.
    """

    def __init__(self, answer: Recommendation) -> None:
        super().__init__(answer.items, {**_kinds_of(RankedItem), "name": "str"})
        self.answer = answer

    @property
    def interests(self) -> list[UserInterest]:
        """The interests of the history: names, and the items of the history that made them."""
        return self.answer.interests

    @property
    def unknown(self) -> list[str]:
        """What was asked with and the model does not know."""
        return self.answer.unknown

    @property
    def history(self) -> ResolvedHistory | None:
        """What the history was understood as."""
        return self.answer.history

    @property
    def explain(self) -> dict[str, Any] | None:
        """Why the item of `explain` is at its rank."""
        return self.answer.explain

    def to_list(self) -> list[dict[str, Any]]:
        """The items as plain dictionaries, with the name of the interest beside its index."""
        names = {interest.index: interest.name for interest in self.interests}
        return [{**row, "name": names.get(row["interest"])} for row in super().to_list()]

    def __repr__(self) -> str:
        lines = [f"{item.rank:3}  {item.score:7.4f}  {item.item}  {item.title}" for item in self]
        return "\n".join([f"{len(self)} items", *lines])


class Figures(RecordList[Metric]):
    """The figures of an evaluation: those of models and baselines first, then comparisons.

    Attributes:
        evaluation: with the values of every user, the data set and the opened models.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__(evaluation.records, _kinds_of(Metric))
        self.evaluation = evaluation

    def value(self, metric: str, k: int | None = None, model: str | None = None) -> float:
        """A figure for all users, by default that of the first model.

        Args:
            metric: its name, such as "ndcg".
            k: the length of the list, where the metric has one.
            model: path of the model, or name of the baseline; None: the first one.

        Returns:
            The figure.

        Raises:
            KeyError: it was not measured.
        """
        for record in self:
            of_all = record.slice == "all" and record.compared_to is None
            if of_all and (record.metric, record.k) == (metric, k) and model in (None, record.model):
                return record.value
        raise KeyError(f"{metric}@{k} of {model or 'any model'} was not measured")

    def __repr__(self) -> str:
        of_all = [record for record in self if record.slice == "all" and record.compared_to is None]
        return "\n".join(f"{each.model}: {each.metric}@{each.k} {each.value:.4f}" for each in of_all)


def _kinds_of(record: type[Record]) -> dict[str, str]:
    return {name: str(record.__annotations__[name]).removesuffix(" | None") for name in record.__struct_fields__}


def read_answer(line: bytes) -> Recommendations:
    """The answer on a line that `recommend` wrote."""
    return Recommendations(msgspec.json.decode(line, type=Recommendation))
