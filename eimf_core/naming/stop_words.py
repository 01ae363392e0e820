"""Stop words: English words that say nothing of what a title is about. In other languages the weighting has to do.

Two sets with a common part, because labels and models that exist were made with them: a word more or less in one is
another label, or another name of the same interest.
"""

_COMMON = """
about above after again all and any are been before below between both but can could did does down each else few for
from had has have her here hers him his how into its just more most new nor not off once only other our out over own
part per same she some such than that the their them then there these they this those through too under until upon
very was were what when where which while who whom why will with without you your
"""
_OF_LABELS = """
a am an as at be by description do etc further he i if in interest interests is it item items la le me my name names
no of on or pt s so t title titles to up vol volume we
"""
_OF_NAMES = """
against almost along already also although always among another anything around away back because behind being cannot
doing done during either enough even ever every everything first full get gets give given goes going having herself
himself however itself keep last least less let like made make makes many may might mine much must myself neither
never next nobody none nothing now often one onto others ours ourselves perhaps put quite rather really see seem
several shall should since six something soon still take ten theirs themselves thing things three thus together toward
two use used via want way well whether whole whose within would yes yet yours yourself
"""
LABEL_STOP_WORDS = frozenset(f"{_COMMON} {_OF_LABELS}".split())
"""For words of clusters and of `label --engine keywords`; single letters and words of prompts among them."""
NAME_STOP_WORDS = frozenset(f"{_COMMON} {_OF_NAMES}".split())
"""For names of interests without labels, whose words have three letters or more."""
