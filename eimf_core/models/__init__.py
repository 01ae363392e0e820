"""Backbones: from the item vectors of a history to the interests of its user. They know no data and no training loop.

Each backbone is a file: its parts (a sequence encoder and an interest extractor), a dataclass of its own
hyper-parameters, what it adds to the training loss, its paper and what differs from it. They share `backbone.py` (the
one signature, and what training asks), `parts.py` (the signature of encoders and extractors), `layers.py`,
`prefix_means.py` and `shape.py`; `registry.py` names them without torch.

A new backbone is one file and one line in `registry.BACKBONES`:

1. The file: a subclass of `Backbone` that sets `encoder_type` and `extractor_type` (of its own, or those of another
   file) and `hyperparameters`. The docstring of the file names the paper (`Paper:`) and what differs from it.
2. Hyper-parameters: a frozen dataclass of `hyperparameter(default, help, low=…)` fields. They are set in
   `[train.hyperparameters]` of a `--config` file; unknown names, wrong types and values out of bounds are refused.
3. Where it trains otherwise than by the softmax over the best interest for each target, override
   `auxiliary_losses`, `pair_weights`, `read_out` or `negative_hardness`. Where its losses need all interests of
   a user, let `selects_interest` be false; where `read_out` gives all of them, they answer together, as in `narm.py`.
4. The line: `"name": Entry("file.Class")`, with `single=True` for one interest a user.

There are `comirec_sa`, `comirec_dr`, `mind`, `narm`, `pimi`, `re4`, `remi`, `sine`, `mfn` and `desmil`, and of a single
interest `gru4rec` and `sasrec`. `hyperparameters` reads those of a backbone, `readout` says which interest answers for
a target.

`tests/contract/test_backbones.py` goes over the registry: shapes, padding, prefixes, gradients, determinism, the
exported form, and that each hyper-parameter has an effect. Weights, and what is dropped out, are drawn from the
generator that is passed, and parameter names are part of the model directory: a renamed one is no warm start.
"""
