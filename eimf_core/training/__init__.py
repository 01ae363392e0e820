"""Training: from a prepared directory, and labels if there are any, to a model directory.

`train.py` reads the files, prepares a run (`setup.py`) and writes the model (`export.py`). From there it is two hops to
the loss: `Loop.run` in `loop.py` goes over epochs and batches, and `Step.losses` in `step.py` lists what is minimised.

A new loss is a file in `losses/`, a pure function of tensors with its formula and source, and a line: in
`NEXT_ITEM_LOSSES` of `next_item_loss.py` where it ranks the next item, in `LABEL_LOSSES` of `label_losses.py` where it
needs labels, else in `Step.losses`. What a single backbone adds stands in
its file in `models/`. A new setting is a field of `TrainConfig` in `config.py`, and a line in
`tests/unit/test_training_settings.py` that says how it changes the result.

The run:
    `config`: the settings
    `train`: one call, from files to a model directory
    `plan`: one model, or the members of an ensemble
    `setup`: what a run needs before its first step
    `loop`: epochs, batches, when to stop
    `step`: what one step draws, its losses, the gradient
    `validation`: NDCG@10 after each epoch
    `run_state`: epoch, time and figures so far
    `checkpoint`: a run on disk, to be resumed
    `process_group`: several processes
    `device`: processor or accelerator, precision
    `export`: the model directory
    `item_naming`: names of its groups of items
    `text_projection`: vectors of items that training never saw
    `warm_start`: `--init`
    `refit`: `--refit`

What is learned:
    `learner`: backbone, item table and adapter with their optimisers
    `item_embeddings`: the table of item vectors
    `optimiser`: Adam for rows of a table
    `learning_rate`: its schedule
    `gradient_norms`: of each part of the loss
    `text_init`: item vectors from text
    `neighbour_init`: item vectors from items beside them in histories
    `label_init`: item vectors from labels

Batches and the loss of behaviour:
    `batches`: histories and targets
    `negatives`: drawn for a batch
    `side_information`: times, categories, kinds of behaviour
    `target_interests`: which interest answers for a target
    `next_item_loss`: the losses that rank the next item, by name
    `losses/`: the pure functions

Labels:
    `labels`: read and matched with users
    `label_batches`: labelled users of a step
    `label_propagation`: items of similar users
    `label_losses`: what labels add to the loss

Ensembles and the graph of next items:
    `ensemble`: members trained one after the other
    `member_weights`: what each weighs
    `join`: models joined as one
    `joint_network`: their networks as one
    `candidates`: the few items that weights are chosen on
    `next_item_graph`: what follows what
    `text_neighbours`: items of like texts
    `next_item_choice`: how much both count in scores

Importing this package sets how OpenMP waits and MKL rounds, which counts only before torch is loaded.
"""

import os

# spinning threads of two processes on the same cores were seen to slow a step down 40 times
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# otherwise MKL's last bits follow where in memory a matrix lies: the same run gave other bytes each time
os.environ.setdefault("MKL_CBWR", "AUTO")
