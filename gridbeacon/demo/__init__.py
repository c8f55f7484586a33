"""The demonstration: real counts of Auckland, and a made square. Nothing of it is needed to run the engine."""
