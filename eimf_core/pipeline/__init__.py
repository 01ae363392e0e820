"""`eimf run`: the steps from a log to a measured model, and which of them are up to date.

`run_steps` plans the steps, says what each reads and writes, and records what each output was made from; the command
line runs those that are out of date. `outcome` reads the figures of the model and the users shown as examples. A
further step is a `RunStep` in `run_steps.plan`.
"""
