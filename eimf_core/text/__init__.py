"""Text as vectors: titles of items, names of interests and queries in words, for all steps.

`encoder` says what an encoder is, `loading` opens one by name, `encoder_input` says what it reads of an item,
`cache` encodes each text once and keeps the vectors, `similarity` assigns titles to names. `numpy_encoder` is the
packaged encoder, `transformers_encoder` is for others, `ray_encoding` encodes in many processes. A further kind of
encoder is a class with the attributes of `encoder.TextEncoder` and a branch in `loading.open_encoder`.
"""
