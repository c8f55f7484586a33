"""Ask the broker whether we may talk to it, and say what is wrong if not.

Both Kafka clients hide the reason while they look for a first broker: a wrong password, port or protocol all end as
"unable to bootstrap". One connection made by hand tells them apart, and at once.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from gridbeacon.config import Config
from gridbeacon.errors import Transient
from streams.kafka import bootstrap, client_settings, failure

TIMEOUT_SECS = 5.0
"""For each of the configured brokers."""


def check_access(config: Config) -> None:
    """Return when one of the configured brokers lets us in.

    Raises ``Transient`` when none can be reached, ``ConfigError`` when one refuses us; the text names the key.
    """
    # In a thread of its own: callers may be inside an event loop, and this one is not part of their work.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _any_lets_us_in(config)).result()


async def _any_lets_us_in(config: Config) -> None:
    problem: BaseException = Transient(f"broker.bootstrap {config.broker.bootstrap!r} names no broker")
    for where in bootstrap(config).split(","):
        try:
            await asyncio.wait_for(_talk(config, where.strip()), TIMEOUT_SECS)
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
            problem = error
    raise failure(problem, config) from problem


async def _talk(config: Config, where: str) -> None:
    """Connect as the clients do and ask for the list of brokers."""
    host, _, port = where.rpartition(":")
    settings = client_settings(config)
    del settings["bootstrap_servers"]
    connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=int(TIMEOUT_SECS * 1000), **settings)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()
