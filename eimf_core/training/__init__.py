"""Training: from a prepared directory, and labels if there are any, to a model directory.

`train.py` reads the files, prepares a run (`setup.py`) and writes the model (`export.py`). From there it is two hops to
the loss: `Loop.run` in `loop.py` goes over epochs and batches, and `Step.losses` in `step.py` lists what is minimised.

A new loss is a file in `losses/`, a pure function of tensors with its formula and source, and a line in `Step.losses`;
one that needs labels has a line in `LABEL_LOSSES` of `label_losses.py` instead. What a single backbone adds stands in
its file in `models/`. A new setting is a field of `TrainConfig` in `config.py`, and a line in
`tests/unit/test_training_settings.py` that says how it changes the result.

Importing this package sets how OpenMP waits and MKL rounds, which counts only before torch is loaded.
"""

import os

# spinning threads of two processes on the same cores were seen to slow a step down 40 times
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# otherwise MKL's last bits follow where in memory a matrix lies: the same run gave other bytes each time
os.environ.setdefault("MKL_CBWR", "AUTO")
