"""A plug-in for eimf, as an example."""
