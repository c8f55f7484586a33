"""Apache Kafka itself as a child process: fetched once as packages, one node on loopback, data in one directory."""

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.fetch import KafkaFiles, ensure_kafka
from streams.embedded.progress import shown

__all__ = ["EmbeddedBroker", "KafkaFiles", "ensure_kafka", "shown"]
