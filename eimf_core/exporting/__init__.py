"""What other programs take of a model: item vectors as Parquet, the network as ONNX with its description."""
