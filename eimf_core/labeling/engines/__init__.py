"""Engines: whoever answers a request, one file each; their parts begin with `llama_`, `server_` and `batch_`.

A new engine is one file and one line: `engines/NAME.py` with a class that derives from `base.Engine` (without a
language model: `base.SynchronousEngine`) and `ENGINE = ThatClass` at its end, and the name in
`labeling.config.EngineName`; `-` in a name is `_` in the file's. Its attributes say what it needs; nobody compares
names. A test holds all engines to the same contract and wants a case for each name: tests/contract/test_engines.py.
"""
