"""Functions on numpy arrays that several steps share: unit vectors, padding, k-means, categories, ranking.

`arrays` names the types of arrays, `vectors` has unit vectors, `padding` rows of unequal length, `kmeans` clusters,
`category_numbers` the categories of items as numbers, `ranking` the best items of scores.
"""
