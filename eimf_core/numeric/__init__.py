"""Functions on numpy arrays that several steps share: unit vectors, padding, k-means, categories, ranking.

`arrays` names the types of arrays.
"""
