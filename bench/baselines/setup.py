"""Make ``.venv-bench`` with what the baselines need, in exact versions: ``python -m bench.baselines.setup``."""

import subprocess
import sys
import venv

from bench.engine import ROOT

PACKAGES = ("aiokafka==0.14.0", "faust-streaming==0.15.3", "msgspec==0.22.0", "quixstreams==3.28.1", "river==0.26.1")


def main() -> None:
    """Make the environment; safe to repeat."""
    folder = ROOT / ".venv-bench"
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    sys.stdout.write(f"the baselines are in {folder.name}\n")


if __name__ == "__main__":
    main()
