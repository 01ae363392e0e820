"""The command line of eimf: each command parses, calls one core function and prints."""
