"""The command line of eimf: each command parses, calls one core function and prints."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("eimf")
except PackageNotFoundError:
    __version__ = "0+unknown"
