"""``python -m gridbeacon`` is the command ``gridbeacon``."""

from gridbeacon.cli import main

if __name__ == "__main__":
    main()
