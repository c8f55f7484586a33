"""Kill anything, restart everything: nothing lost, nothing said twice, every result the same. The short form."""

from pathlib import Path

import pytest

from bench.chaos import START_MS, Plan, run
from gridbeacon.demo.city import make_city
from streams.embedded import KafkaFiles


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_what_is_stored_and_said_is_as_in_a_run_that_nothing_disturbed(tmp_path: Path, kafka_files: KafkaFiles) -> None:
    city = make_city(sensors=120, minutes=45, start_ms=START_MS, incidents=4)
    plan = Plan(secs=20.0, kills=7, broker_restarts=1, freezes=0, seed=3)
    found, told = run(tmp_path, city, plan, detect_workers=2)
    assert found == [], told
