"""Labels: the semantic interests behind a user's history, told by a language model or by words.

The way of a sample: `history_text` reads it and cleans its titles, `requests` asks an engine about it and checks the
answer (`prompts` renders the question, `grammar` holds a model to the prompt's schema, `answer_parser` reads strictly
what comes back), `label` keeps each finished label in a journal and resumes it. `dry_run` shows the prompts alone,
`scoring` compares labels with a truth. A further form of prompt is a pair of files in `prompts/` (NAME.md and
NAME.schema.json); for a further engine see `engines`.
"""
