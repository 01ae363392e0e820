"""Notes of a language model on items, what a thing is and is for, to be encoded beside the titles.

    python examples/study_item_notes.py ask DATA MODEL.gguf --about products -o notes.jsonl
    python examples/study_item_notes.py add DATA notes.jsonl -o NOTED

ask: a note on each item of the prepared directory DATA, ten titles a prompt, a line {item, note} each; the same
command resumes. add: a copy of DATA with the notes behind the titles. --shuffled SEED makes the control: items swap
their notes.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from eimf_core.io import jsonl
from eimf_core.labeling.history_text import clean_title
from eimf_core.labeling.title_shortening import informative_words
from eimf_core.records import Item

AT_ONCE = 10
MAX_TOKENS = 400
REPEAT_PENALTY = 1.15  # without it one note is said of all ten
INSTRUCTIONS = {
    "products": (
        "Each line is the title of a product. For each line, with its number, say what kind of thing it is, then the "
        "work, trade or hobby that needs it.",
        {
            "Trail Shoe 9.5": "running shoe, hiking and running",
            "Dobsonian Telescope, Starter": "telescope, amateur astronomy",
            "Egg Incubator for 12 Eggs": "incubator, keeping hens",
            "Canning Jar Lids": "jar lid, preserving food",
        },
    ),
    "movies": (
        "Each line is the title of a movie. For each line, with its number, say its kind and subject, and who likes "
        "it, in four to ten plain words.",
        {
            "Toy Story (1995)": "animated adventure of toys, families with children",
            "Heat (1995)": "crime thriller of a bank robber, adults",
            "Sense and Sensibility (1995)": "romance in old England, lovers of novels",
        },
    ),
}


class Note(msgspec.Struct, frozen=True):
    """What a language model said about an item."""

    item: str
    note: str


def notes(items: Sequence[Item], model: Path, about: str, threads: int) -> Iterator[Note]:
    """A note on each item that has a title.

    Args:
        items: ten of them are shown at once, in this order.
        model: a GGUF file.
        about: which instruction.
        threads: of llama.cpp.

    Yields:
        The notes, in the order of the items.
    """
    import llama_cpp

    llama = llama_cpp.Llama(str(model), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    instruction, example = INSTRUCTIONS[about]
    titled = [item for item in items if clean_title(item.title)]
    for at in range(0, len(titled), AT_ONCE):
        part = titled[at : at + AT_ONCE]
        answer = llama.create_chat_completion(
            [
                {"role": "system", "content": instruction},
                {"role": "user", "content": _numbered(list(example))},
                {"role": "assistant", "content": _numbered(list(example.values()))},
                {"role": "user", "content": _numbered([informative_words(clean_title(item.title)) for item in part])},
            ],
            temperature=0,
            repeat_penalty=REPEAT_PENALTY,
            max_tokens=MAX_TOKENS,
            grammar=llama_cpp.LlamaGrammar.from_string(_grammar(len(part)), verbose=False),
        )
        lines = answer["choices"][0]["message"]["content"].split("\n")
        for item, line in zip(part, lines, strict=True):
            yield Note(item=item.item, note=line.split(". ", 1)[1].strip())


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _grammar(lines: int) -> str:
    root = ' "\\n" '.join(f'"{number}. " note' for number in range(1, lines + 1))
    return f"root ::= {root}\nnote ::= [A-Za-z0-9] [A-Za-z0-9 ,'/&-]{{3,70}}"


def swapped(found: Sequence[Note], seed: int) -> list[Note]:
    """Each item is given the note of another one."""
    order = np.random.default_rng(seed).permutation(len(found))
    return [
        Note(item=found[at].item, note=found[order[(place + 1) % len(order)]].note) for place, at in enumerate(order)
    ]


def add(data: Path, found: Sequence[Note], output: Path) -> None:
    """A copy of a prepared directory whose titles end with the notes."""
    of_item = {note.item: note.note for note in found}
    shutil.copytree(data, output, ignore=shutil.ignore_patterns(".cache", "items.jsonl"))
    items = jsonl.read(data / "items.jsonl", Item)
    jsonl.write(
        output / "items.jsonl",
        [
            msgspec.structs.replace(item, title=f"{item.title}. {of_item[item.item]}") if item.item in of_item else item
            for item in items
        ],
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ask", "add"))
    parser.add_argument("data", type=Path)
    parser.add_argument("source", type=Path, help="ask: a GGUF file; add: the notes")
    parser.add_argument("--about", choices=list(INSTRUCTIONS), default="products")
    parser.add_argument("--shuffled", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.what == "add":
        found = list(jsonl.read(given.source, Note))
        add(given.data, found if given.shuffled is None else swapped(found, given.shuffled), given.output)
        return
    known = {note.item for note in jsonl.read(given.output, Note)} if given.output.exists() else set()
    asked = [item for item in jsonl.read(given.data / "items.jsonl", Item) if item.item not in known]
    with given.output.open("ab") as stream:
        for note in notes(asked, given.source, given.about, given.threads):
            stream.write(jsonl.encode(note))
            stream.flush()


if __name__ == "__main__":
    main()
