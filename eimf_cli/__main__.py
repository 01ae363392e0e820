"""`python -m eimf_cli`."""

from eimf_cli.main import run

if __name__ == "__main__":
    run()
