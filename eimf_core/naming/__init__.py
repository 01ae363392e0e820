"""Names for interests, and the terms that they are made of, in one place for clusters, labels and recommendations.

`terms` takes titles apart (`stop_words` says what is left out), `distinctive_terms` weighs which terms tell a group
from the others, `word_names` names directions of the item space when a model is written, and `interest_names` names
an interest: by the nearest semantic interest that a model was trained with, or by words. A further way of naming is
a function in `interest_names` beside `namer_by_labels` and `namer_by_words`.
"""
