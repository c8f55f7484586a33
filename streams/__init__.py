"""Shells on Kafka: the ingest loop, the Faust agents, frames, checkpoints, the embedded broker."""
