"""The model directory: writing it, opening it without torch, and what is computed with it.

`artifact` writes and reads the directory, `model_files` names and checks its files, `opened_model` is one that is open:
its items (`model_items`), its network in onnxruntime (`model_network`), the parts of an ensemble (`model_members`) and
the graph of next items (`next_items`). `item_precompute` computes once for each item what the network would compute
with every history.
"""
