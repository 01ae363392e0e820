"""Where data sets are published that are asked for by name: nothing is fetched, so that a message says what to get."""

from __future__ import annotations

import re
from typing import NamedTuple

from eimf_core.errors import did_you_mean


class PublishedSet(NamedTuple):
    """A data set that `prepare` reads once it is there.

    Attributes:
        title: its name.
        place: the page of its publisher.
        files: those that are wanted, in one folder.
        terms: its licence or terms in short.
    """

    title: str
    place: str
    files: str
    terms: str


MOVIELENS = "research use; no redistribution and no commercial use without permission"
UCSD = "published for research; no formal licence is stated, the reviews remain Amazon.com content"
SEE = "see the terms on that page"
AMAZON_2014 = PublishedSet(
    "Amazon reviews 2014", "jmcauley.ucsd.edu/data/amazon", "reviews_NAME_5.json.gz and meta_NAME.json.gz", UCSD
)
AMAZON_2018 = PublishedSet(
    "Amazon reviews 2018", "nijianmo.github.io/amazon", "NAME_5.json.gz and meta_NAME.json.gz", UCSD
)
AMAZON_2023 = PublishedSet(
    "Amazon reviews 2023", "amazon-reviews-2023.github.io", "NAME.jsonl.gz and meta_NAME.jsonl.gz", UCSD
)
SETS = {
    "ml-100k": PublishedSet("MovieLens 100K", "grouplens.org/datasets/movielens", "u.data and u.item", MOVIELENS),
    "ml-1m": PublishedSet("MovieLens 1M", "grouplens.org/datasets/movielens", "ratings.dat and movies.dat", MOVIELENS),
    "ml-10m": PublishedSet(
        "MovieLens 10M", "grouplens.org/datasets/movielens", "ratings.dat and movies.dat", MOVIELENS
    ),
    **{
        f"ml-{size}": PublishedSet(
            f"MovieLens {size}", "grouplens.org/datasets/movielens", "ratings.csv and movies.csv", MOVIELENS
        )
        for size in ("20m", "25m", "32m", "latest", "latest-small")
    },
    "amazon": AMAZON_2023,
    "amazon-2014": AMAZON_2014,
    "amazon-2018": AMAZON_2018,
    "amazon-2023": AMAZON_2023,
    "beauty": AMAZON_2014,
    "yelp": PublishedSet(
        "Yelp Open Dataset",
        "www.yelp.com/dataset",
        "yelp_academic_dataset_review.json and yelp_academic_dataset_business.json",
        "academic, non-commercial use; no redistribution (Yelp Dataset Terms of Use)",
    ),
    "mind": PublishedSet("MIND", "msnews.github.io", "behaviors.tsv and news.tsv", "Microsoft Research License Terms"),
    "gowalla": PublishedSet(
        "Gowalla", "snap.stanford.edu/data/loc-gowalla.html", "loc-gowalla_totalCheckins.txt.gz", SEE
    ),
    "lastfm": PublishedSet(
        "Last.fm (HetRec 2011)", "grouplens.org/datasets/hetrec-2011", "user_artists.dat and artists.dat", SEE
    ),
    "steam": PublishedSet(
        "Steam reviews",
        "cseweb.ucsd.edu/~jmcauley/datasets.html",
        "steam_reviews.json.gz and steam_games.json.gz",
        SEE,
    ),
    "goodreads": PublishedSet(
        "Goodreads",
        "cseweb.ucsd.edu/~jmcauley/datasets.html",
        "goodreads_interactions_NAME.json.gz and goodreads_books_NAME.json.gz",
        "academic use; " + SEE,
    ),
    "retailrocket": PublishedSet(
        "RetailRocket", "www.kaggle.com/datasets/retailrocket/ecommerce-dataset", "events.csv", SEE
    ),
    "kuairec": PublishedSet("KuaiRec", "kuairec.com", "big_matrix.csv and kuairec_caption_category.csv", SEE),
    "kuairand": PublishedSet("KuaiRand", "kuairand.com", "log_standard_*.csv and kuairand_video_categories.csv", SEE),
    "hm": PublishedSet(
        "H&M",
        "www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations",
        "transactions_train.csv and articles.csv",
        "the rules of the competition",
    ),
}
OF_PARTS = ("amazon", "yelp", "gowalla", "lastfm", "steam", "goodreads", "retailrocket", "kuairec", "kuairand")
"""Names that others begin with."""
OTHER_NAMES = {"movielens": "ml", "amazonbeauty": "beauty", "mindsmall": "mind", "mindlarge": "mind", "h&m": "hm"}


def hint(name: str) -> str:
    """What to say of a path that does not exist, where it is the name of a published set; "" for any other."""
    sought = _plain(name)
    for other, known in OTHER_NAMES.items():
        sought = known + sought.removeprefix(other) if sought.startswith(other) else sought
    found = {_plain(key): entry for key, entry in SETS.items()}.get(sought)
    if found is None and not {".", "/"} & set(name):
        # one of its parts, or a form of it, such as amazon-books or yelp2018
        found = next((SETS[key] for key in OF_PARTS if sought.startswith(key)), None)
    if found is None:
        return did_you_mean(name, SETS) if sought.startswith("ml") else ""
    return (
        f"; {found.title} is published at {found.place} ({found.terms}): get {found.files}, put the files in a folder, "
        f"and give the folder: eimf prepare {name}/ -o data/"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9&]", "", name.casefold())
