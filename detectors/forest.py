"""river's half-space trees over the residuals of a cell's kinds of sources: several weak signals that are odd together.

One forest serves all cells with the same kinds, so that it needs no week to learn and its memory is bounded. Its trees
follow from the seed and the features; what it has learned is the mass of each node, and that is its whole state.
"""

import zlib
from itertools import chain
from typing import Any

import numpy as np
from river import anomaly

TREES, HEIGHT, WINDOW, SEED = 25, 8, 1000, 1
"""Smaller forests (10 trees of height 6) can't tell three weak signals from one; this one takes 0.1 ms a cell."""


class Forest:
    """Half-space trees over features in [0, 1].

    >>> forest = Forest(("crowd", "traffic"))
    >>> forest.score({"crowd": 0.5, "traffic": 0.5}) is None  # nothing is known yet
    True
    """

    def __init__(self, features: tuple[str, ...]) -> None:
        self.features = features
        self._trees: Any = anomaly.HalfSpaceTrees(
            n_trees=TREES,
            height=HEIGHT,
            window_size=WINDOW,
            seed=SEED,
            limits=dict.fromkeys(features, (0.0, 1.0)),
        )

    @property
    def warm(self) -> bool:
        """Whether a whole window has been learned."""
        return not self._trees._first_window  # noqa: SLF001 - river has no other way to ask

    def score(self, x: dict[str, float]) -> float | None:
        """Return how odd x is, 0..1; None while too little was learned. Changes nothing."""
        return float(self._trees.score_one(x)) if self.warm else None

    def learn(self, x: dict[str, float]) -> None:
        """Learn one x."""
        self._trees.learn_one(x)

    def state(self) -> bytes:
        """Return all that was learned, to the digit."""
        nodes = list(self._nodes())
        masses = np.array([(node.l_mass, node.r_mass) for node in nodes], np.int64)
        head = np.array([self._trees.counter, self.warm, _fingerprint(nodes)], np.int64)
        return zlib.compress(head.tobytes() + masses.tobytes(), 1)

    def restore(self, value: bytes) -> bool:
        """Take back a state; return False, and begin anew, when it is of other trees (another version of river)."""
        numbers = np.frombuffer(zlib.decompress(value), np.int64)
        counter, warm, fingerprint = numbers[:3].tolist()
        masses = numbers[3:].reshape(-1, 2).tolist()
        if not masses:
            return True
        trees = Forest(self.features)
        trees.learn(dict.fromkeys(self.features, 0.5))  # which grows them
        nodes = list(trees._nodes())
        if len(nodes) != len(masses) or _fingerprint(nodes) != fingerprint:
            return False
        for node, (l_mass, r_mass) in zip(nodes, masses, strict=True):
            node.l_mass, node.r_mass = l_mass, r_mass
        self._trees = trees._trees
        self._trees.counter, self._trees._first_window = counter, not warm  # noqa: SLF001
        return True

    def _nodes(self) -> Any:
        return chain.from_iterable(self._trees._tree_nodes)  # noqa: SLF001


def _fingerprint(nodes: list[Any]) -> int:
    """Return a number that says how the trees are cut."""
    cuts = [(str(node.feature), float(node.threshold)) for node in nodes if hasattr(node, "threshold")]
    return zlib.crc32(repr(cuts).encode())
