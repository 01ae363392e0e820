"""`eimf eval`: rank the whole catalogue for the users of a split and say how good the lists are, and how surely.

From top to bottom: `evaluate` is the command's one call. `eval_users` decides who is asked and what is a target,
`scorers` what gives scores (a model directory or one of `baselines/`), `measure` ranks blocks of users and takes the
`metrics/` of their lists (training's validation does it with the same code), `slice_bootstrap` and `statistics` draw
intervals and tests, `metric_records` makes the Metric lines, `result_tables` and `report/` show
them, in the words of `metric_format`.

How a new member joins:

- a metric: a function with formula and source, and a line in the table of its kind (see `metrics/__init__.py`)
- a baseline: a class in a file, and a line in `BASELINES` (see `baselines/__init__.py`)
- a slice: a function in `slices.py`, and a line in `BY_USER` or `BY_ITEM` there

Beside these: `config` has the settings, `system_results` what was measured of a system, `seed_groups` takes several
seeds as one, `tie_breaking` orders equal scores, `previous_report` says what changed, `metric_files` writes the files.
"""
