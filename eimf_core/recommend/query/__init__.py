"""The way in: from what a command or a line asks to a query of item indices.

`request` is what a command asks, `query_input` reads Query lines, `user_histories` reads histories of a prepared
directory. `query_resolution` makes a `ResolvedQuery` of each, with `item_lookup` and `title_search` for ids and titles,
and `text_vectors` for words and for items that came after training.
"""
