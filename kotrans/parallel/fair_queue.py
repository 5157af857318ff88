"""A queue in which several groups take turns."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Group = TypeVar("Group", bound=Hashable)
Item = TypeVar("Item")


class FairQueue(Generic[Group, Item]):
    """Items of several groups: first in, first out within a group, and one item of each group in turn.

    A group that has a thousand items delays the single item of another by one item, not by a thousand.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[Group, deque[Item]] = OrderedDict()  # the group whose turn it is stands first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def groups(self) -> list[Group]:
        """Those that have items."""
        return list(self._groups)

    def push(self, group: Group, items: Iterable[Item]) -> None:
        """Appends items to the queue of a group."""
        new = deque(items)
        if new:
            self._groups.setdefault(group, deque()).extend(new)
            self._count += len(new)

    def pop(self, fits: Callable[[Group, Item], bool]) -> Item | None:
        """The next item of the first group, in turn, whose next item fits; None if there is none.

        Groups that are passed over keep their turn.
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
        """Takes out the unwanted items of a group, and returns them."""
        items = self._groups.pop(group, None)
        if items is None:
            return []
        removed = [item for item in items if unwanted(item)]
        self._count -= len(items)
        self.push(group, (item for item in items if not unwanted(item)))
        return removed
