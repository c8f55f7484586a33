"""Answers to remember for a while: the latest so many, until something may have changed."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """The last ``most`` answers by question; for many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()

    def get(self, question: Hashable) -> Answer | None:
        """Return the answer, None when it is not remembered."""
        with self._lock:
            if question in self._answers:
                self._answers.move_to_end(question)
            return self._answers.get(question)

    def put(self, question: Hashable, answer: Answer) -> None:
        """Remember an answer, and forget the one that was asked for longest ago."""
        with self._lock:
            self._answers[question] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._answers.clear()
