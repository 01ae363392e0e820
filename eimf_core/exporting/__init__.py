"""`eimf export`: what other programs read of a model, without eimf.

`item_vectors` writes the vectors of all items as Parquet, for vector databases and search; `network_folder` the network
as ONNX with a description of its inputs and outputs, and `network_readme` the page beside it; `output_paths` refuses
places where something would be lost before anything is written.
"""
