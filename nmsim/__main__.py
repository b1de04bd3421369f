"""`python -m nmsim` is `nmsim`."""

from nmsim.cli.app import main

if __name__ == "__main__":
    main()
