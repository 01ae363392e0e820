"""English words that tell nothing about what a title is of: they join other words, or point, count and ask."""

WORDS = """
about above after again against all almost along already also although always among and another any anything are
around away back because been before behind being below between both but can cannot could did does doing done down
during each either else enough even ever every everything few first for from full get gets give given goes going
had has have having her here hers herself him himself his how however into its itself just keep last least less let
like made make makes many may might mine more most much must myself neither never new next nobody none nor not
nothing now off often once one only onto other others our ours ourselves out over own part per perhaps put quite
rather really same see seem several shall she should since six some something soon still such take ten than that
the their theirs them themselves then there these they thing things this those three through thus together too
toward two under until upon use used very via want was way well were what when where whether which while who whole
whom whose why will with within without would yes yet you your yours yourself
"""
STOP_WORDS = frozenset(WORDS.split())
