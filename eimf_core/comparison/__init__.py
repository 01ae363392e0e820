"""`eimf compare`: backbones and settings, chosen on the validation split, over several seeds, tested once at the end.

`compare` is the command's one call, `config` has the settings. `setting_ranges` reads which settings are tried,
`trials` trains each of them once and keeps what came out, so that a killed run resumes; `paired_table` compares the
systems on the same users, and `table_files` writes the table as CSV, LaTeX and SVG. Trainings are those of `training`,
figures and tests those of `evaluation`.
"""
