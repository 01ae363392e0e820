"""Representative users: whom to label, when a few per cluster have to do for all.

`user_vectors` puts users into the text space of their items, `user_clusters` groups them and chooses how many groups,
`representatives` takes users of each under one budget, `cluster` is the whole step. Another way to choose users is
another function beside `representatives.choose`, with the same arguments. `stdin_data` reads a prepared directory from
a pipe, `sample_files` writes what came out, `config` has the settings.
"""
