"""Answers to queries: a Query line becomes a resolved query, that a result (columns), and that JSON lines.

`session` opens a model and answers; `query_resolution` turns ids, titles and words into item indices and a vector;
`recommender` ranks; `attribution` and `explain` say which interest brought an item, and why; `result_lines` writes.
A further filter is a mask of `item_filters`, a further way of ranking a branch of `Recommender.results`.
"""
