"""Runs the command line as `python -m kotrans`."""

from kotrans.cli import main

if __name__ == "__main__":
    main()
