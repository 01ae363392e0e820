"""Engines: whoever answers a request, one file each; their parts begin with `llama_`, `server_` and `batch_`.

A new engine is one file and one line: `engines/NAME.py` with a class that derives from `base.Engine` (without a
language model: `base.SynchronousEngine`) and `ENGINE = ThatClass` at its end, and the name in
`labeling.config.EngineName`; `-` in a name is `_` in the file's. Its attributes say what it needs; nobody compares
names. A test holds all engines to the same contract and wants a case for each name: tests/contract/test_engines.py.

Every engine:
    `base`: what an engine is
    `engine_registry`: the engines by name
    `unused_settings`: settings that an engine has no use for

Without a language model:
    `keywords`: words of titles
    `categories`: categories of items

A GGUF model in a process beside this one:
    `llama_cpp`: the engine
    `llama_setup`: from settings to that process
    `llama_worker`: that process
    `llama_model`: the open model
    `llama_prompt`: tokens of a prompt
    `llama_batch`: several answers at once
    `llama_sampling`: the next token under a grammar
    `llama_ray`: many such processes
    `named_models`: models by a short name
    `gguf_file`: the header of a model's file

An OpenAI-compatible endpoint:
    `server`: the engine
    `server_pool`: several servers
    `server_address`: addresses and the key
    `server_question`: what is asked
    `server_exchange`: one request
    `server_reply`: what comes back
    `batch`: questions in files
    `batch_results`: files of answers
"""
