"""A labeling engine, a form of log and a metric: a function each, without torch."""

EIMF_INTERFACE = 2


def last_title(history):
    """The last title of a history as its one interest."""
    return {history[-1].title: [len(history)]}


def arrows(line):
    """`user -> item @ seconds` a line."""
    user, item_and_time = line.split(" -> ")
    item, time = item_and_time.split(" @ ")
    return {"user": user, "item": item, "time": time}


def first_hit(hits, wanted, k):
    """Whether the first item of the list is a target: rel_1, whatever k is. Source: this example."""
    return hits[:, 0].astype(float)
