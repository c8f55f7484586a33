"""Gridbeacon watches a city: the pure core (values in, values out) and the command line.

Five nouns, each a type: Observation, Verdict, Situation, Alert, Notice.
Five verbs, each a function: decode, observe, assess, advance, hold back.
"""

__version__ = "0.1.0"
