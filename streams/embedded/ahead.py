"""What a broker loads when it starts, prepared once per machine: it then starts in half the time.

Java 25 and later keep the classes that a run has loaded, linked, in one file (an AOT cache). Another Java, or other
jars, can't use it; Java sees that and goes on without. Nothing depends on it but time.
"""

import os
import tempfile
from pathlib import Path

from gridbeacon.errors import GridbeaconError
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.fetch import KafkaFiles, ensure_kafka
from streams.embedded.java import version_of

SINCE_JAVA = 25
MAKE_SECS = 120.0
"""For the broker to end: that is when Java writes the file."""


def prepare(files: KafkaFiles) -> bool:
    """Return whether the classes are prepared; if not yet, run a broker once to see what it loads, and keep that.

    Takes about ten seconds, once. With an older Java nothing is kept; a run that fails leaves everything as it was.
    """
    if files.classes.exists() or version_of(files.java) < SINCE_JAVA:
        return files.classes.exists()
    new = files.classes.with_name(f"{files.classes.name}.{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="gridbeacon-kafka-") as folder:
        node = EmbeddedBroker(Path(folder), files, flags=(f"-XX:AOTCacheOutput={new}",))
        try:
            node.start()
            node.wait_ready()
            node.stop(MAKE_SECS)
            new.rename(files.classes)
        except (GridbeaconError, OSError):
            return False
        finally:
            node.kill()
            new.unlink(missing_ok=True)
    return True


if __name__ == "__main__":
    prepare(ensure_kafka())
