"""`python -m kotrans` is `kotrans`."""

from kotrans.cli import main

if __name__ == "__main__":
    main()
