"""Losses: each a pure function of tensors in a file of its own, with its formula and where it comes from.

Of behaviour: `sampled_softmax`, `full_softmax` and `interest_mixture`, which compute their log-sum-exp in the blocks of
`log_partition`. With labels: `modality_alignment`, `semantic_prediction` and `item_word_alignment`, whose `inputs` are
tensors and rows of a step. They know no data set and no model; `training/step.py` and `training/label_losses.py` call
and weigh them.
"""
