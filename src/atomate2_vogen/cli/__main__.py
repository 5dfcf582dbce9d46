"""``python -m atomate2_vogen.cli``."""

from atomate2_vogen.cli.main import main

if __name__ == "__main__":
    main()
