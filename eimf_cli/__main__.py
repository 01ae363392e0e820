"""`python -m eimf_cli`."""

from eimf_cli.entry import run

if __name__ == "__main__":
    run()
