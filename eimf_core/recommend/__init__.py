"""Answers to queries: a Query line becomes a resolved query, that a result (columns), and that lines or rows.

`query/` is the way in, `output/` the way out. `session` opens a model and connects them with `recommender`, which runs
the network and makes a `results.Result`; `item_scores` ranks (`int8_scoring` finds candidates with 8-bit products),
`attribution` and `explain` say which interest brought an item, and why; `all_users` answers for everybody. A further
filter is a mask of `item_filters`, a further way of ranking a branch of `Recommender.results`.

What else changes a list: `text_fusion` (words beside a history), `item_boosts`, `diversity`. `interest_splitting`
splits interests by the names of what they bring, `top_items` takes the best of scores, `build_index` and
`index_search` are the approximate index. `process_pipeline`, `thread_pipeline` and `user_blocks` do it in several
processes and threads, `config` has the settings.
"""
