"""A queue that serves several groups in turn."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Group = TypeVar("Group", bound=Hashable)
Item = TypeVar("Item")


class FairQueue(Generic[Group, Item]):
    """A queue that is first in, first out within a group, and round-robin between groups.

    A group with a thousand items delays the only item of another group by one item.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[Group, deque[Item]] = OrderedDict()  # the group whose turn is next comes first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def groups(self) -> list[Group]:
        """The groups that have items."""
        return list(self._groups)

    def push(self, group: Group, items: Iterable[Item]) -> None:
        """Appends items to the queue of a group."""
        new = deque(items)
        if new:
            self._groups.setdefault(group, deque()).extend(new)
            self._count += len(new)

    def pop(self, fits: Callable[[Group, Item], bool]) -> Item | None:
        """Removes and returns the first item of the first group for which it fits; None if there is none.

        Groups that are skipped keep their turn.
        """
        for group, items in self._groups.items():
            if fits(group, items[0]):
                item = items.popleft()
                self._count -= 1
                if items:
                    self._groups.move_to_end(group)
                else:
                    del self._groups[group]
                return item
        return None

    def remove(self, group: Group, unwanted: Callable[[Item], bool] = lambda item: True) -> list[Item]:
        """Removes and returns the unwanted items of a group."""
        items = self._groups.pop(group, None)
        if items is None:
            return []
        removed = [item for item in items if unwanted(item)]
        self._count -= len(items)
        self.push(group, (item for item in items if not unwanted(item)))
        return removed
