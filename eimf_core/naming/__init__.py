"""Names for interests, and the terms that they are made of, in one place for clusters, labels and recommendations.

`terms` takes titles apart (`stop_words` says what is left out), `distinctive_terms` weighs which terms tell a group
from the others. `item_groups` clusters the items of a model, `group_names` names each group by the labels that training
had or by words of titles, and `interest_names` names an interest by the group of what it recommends. Names that a
language model gives to groups come from `labeling.group_labels`. A further way of naming without a language model is a
function beside `group_names.labels` and `group_names.words`.
"""
