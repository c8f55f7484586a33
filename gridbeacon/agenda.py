"""When something is due by itself, by name: each name is called once, however often it is put off."""

from collections.abc import Callable
from heapq import heappop, heappush


class Agenda:
    """Names in order of when they are due. ``due_ms`` tells when a name is due now, None when it is not any more."""

    def __init__(self, due_ms: Callable[[str], int | None]) -> None:
        self._due_ms = due_ms
        self._heap: list[tuple[int, str]] = []
        self._called: dict[str, int] = {}

    def call(self, name: str) -> None:
        """Say that a name may be due at another time than before."""
        due_ms = self._due_ms(name)
        if due_ms is not None and due_ms < self._called.get(name, due_ms + 1):
            self._called[name] = due_ms
            heappush(self._heap, (due_ms, name))

    def next_ms(self) -> int | None:
        """Return when the next name is due, or None."""
        while self._heap:
            at_ms, name = self._heap[0]
            if self._called.get(name) == at_ms:
                if self._due_ms(name) == at_ms:
                    return at_ms
                del self._called[name]
                heappop(self._heap)
                self.call(name)  # it was put off
            else:
                heappop(self._heap)
        return None

    def take(self, at_ms: int) -> list[str]:
        """Return the names that are due by now, in order of their names; each is called anew when it is said so."""
        taken = []
        while (next_ms := self.next_ms()) is not None and next_ms <= at_ms:
            _, name = heappop(self._heap)
            del self._called[name]
            taken.append(name)
        return sorted(taken)
