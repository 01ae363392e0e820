"""An engine, a form of log and a metric, none of which needs torch."""

import orjson

from eimf_core.labeling import prompts
from eimf_core.labeling.engines.base import Answer, SynchronousEngine
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.scans import Delimited

EIMF_INTERFACE = 1


class LastTitle(SynchronousEngine):
    """The last title of a history as its one interest."""

    name = "last-title"
    model = "the last title"

    def __init__(self, config, samples, vectors, reporter):
        super().__init__()
        self.prompt, self.settings = prompts.load(prompts.DESCRIBED), {"form": 1}

    def answer(self, request):
        history = request.sample.history
        interest = {"name": history[-1].title[:48], "description": "What was last.", "items": [len(history)]}
        return Answer(request.number, text=orjson.dumps({"interests": [interest]}).decode(), items_by="model")


def _with_commas(files, scratch, rejects):
    target = scratch / "arrows.csv"
    with open(target, "w", encoding="utf-8") as copy:
        for file in files:
            copy.write(file.path.read_text(encoding="utf-8").replace(" -> ", ",").replace(" @ ", ","))
    return target


ARROWS = LogFormat(
    name="arrows",
    summary="`user -> item @ seconds` a line",
    matches=lambda source: " -> " in source.first,
    scan=lambda source, config: Delimited(
        ",", ("user", "item", "time"), {name: name for name in ("user", "item", "time")}
    ),
    convert=_with_commas,
)


def first_hit(hits, wanted, k):
    """Whether the first item of the list is a target: rel_1, whatever k is.

    Source: this example.
    """
    return hits[:, 0].astype(float)
