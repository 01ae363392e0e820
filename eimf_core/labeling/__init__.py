"""Labels: the semantic interests behind a user's history, told by a language model or by words.

The way of a sample: `history_text` reads it and cleans its titles, `requests` asks an engine about it and checks the
answer (`prompts` renders the question, `grammar` holds a model to the prompt's schema, `answer_parser` reads strictly
what comes back), `label` keeps each finished label in a journal and resumes it. `dry_run` shows the prompts alone,
`scoring` compares labels with a truth. A further form of prompt is a pair of files in `prompts/` (NAME.md and
NAME.schema.json); for a further engine see `engines/`.

The run:
    `config`: the settings
    `label`: one call, from samples to labels
    `group_labels`: the same for the groups of a model's items
    `shard`: one part of the samples
    `early_stop`: a run that goes wrong ends soon
    `label_output`: the journal, and what is taken over from it
    `batch_requests`: questions that are answered later
    `dry_run`: what would be sent
    `scoring`: labels against a truth
    `score_files`: what the scores are written to

A question:
    `history_text`: titles and categories of a sample
    `title_shortening`: informative words of titles
    `prompts`: the template and its schema
    `templates`: chat templates of models, within bounds
    `requests`: what is asked, and when again

An answer:
    `grammar`: what a model may write
    `answer_length`: how long that may get
    `answer_text`: the JSON among what was written
    `answer_parser`: read and checked
    `name_checks`: names that are refused
    `name_scripts`: languages and their letters
"""
