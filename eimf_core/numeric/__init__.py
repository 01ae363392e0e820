"""Functions on numpy arrays that several steps share: unit vectors, padding, centres, categories, ranking.

`arrays` names the types of arrays.
"""
