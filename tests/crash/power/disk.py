"""A journalling file system in memory: what it may legally show after the power was cut.

Pure: it is fed the events of a recording, one after another, and tells at any moment which trees of files may be on the
disk. What it takes for granted, and no more:

 - a change of directory entries is one transaction: a rename is never halved, nor does a file ever have two names or
   none because of one; but transactions on different directories reach the disk in any order, and only an fsync of a
   directory makes those that touch it certain;
 - those on one file, and on one name in one directory, keep their order; a directory goes after all that left it;
 - that a new directory is synced says nothing of its own name in its parent (fsync(2));
 - of bytes that were written and not synced, any part may be there, also with the size of all and zeros for the rest;
 - after an fsync of a file that failed, its bytes are in doubt for ever: a later one succeeds without them. (Of a directory
   it makes nothing certain; a later one that succeeds does, as a journal is committed whole, or the file system stops.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

BLOCK = 512
Names = dict[int, dict[str, int]]
"""By folder: what each name in it leads to."""
Tree = dict[str, int]
"""By path within the recorded folder (empty: itself): the file or folder there."""
ROOT = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A name in a folder, and the file or folder to which it leads."""

    folder: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """One transaction on directories: names that go, and names that come."""

    operation: str
    gone: tuple[Slot, ...]
    come: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Wrote:
    operation: str
    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Sized:
    """The size of a file was set."""

    operation: str
    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """An fsync that returned, or failed."""

    operation: str
    node: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the world outside knows from now on."""

    what: str
    key: str
    value: object = None


Event = Renamed | Wrote | Sized | Synced | Told


@dataclass(frozen=True)
class Beginning:
    """What is on the disk, for certain, when the recording begins."""

    names: Names
    data: dict[int, bytes]


@dataclass(slots=True)
class _Transaction:
    change: Renamed
    needs: set[int]


@dataclass(slots=True)
class _Unsynced:
    change: Wrote | Sized
    doomed: bool = False


@dataclass(frozen=True)
class Shown:
    """One state that the disk may show: which file is where, and its bytes. Folders have none."""

    tree: Tree
    content: dict[int, bytes]

    def files(self) -> dict[str, bytes | None]:
        return {path: self.content.get(node) for path, node in self.tree.items()}

    def key(self) -> int:
        return hash(frozenset(self.files().items()))


@dataclass
class Disk:
    """The file system while a recording is played to it."""

    beginning: Beginning
    names: Names = field(init=False)
    data: dict[int, bytes] = field(init=False)
    _open: dict[int, _Transaction] = field(default_factory=dict)
    _unsynced: dict[int, list[_Unsynced]] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        self.names = {folder: dict(names) for folder, names in self.beginning.names.items()}
        self.data = dict(self.beginning.data)

    def play(self, event: Event) -> None:
        match event:
            case Renamed():
                for slot in event.come:
                    if slot.node not in self.names:
                        self.data.setdefault(slot.node, b"")
                self._open[self._number] = _Transaction(event, self._needed_by(event))
                self._number += 1
            case Wrote() | Sized():
                self._unsynced.setdefault(event.node, []).append(_Unsynced(event))
            case Synced() if event.failed:
                for unsynced in self._unsynced.get(event.node, ()):
                    unsynced.doomed = True
            case Synced():
                self._make_certain(event.node)

    def new_folder(self, node: int) -> None:
        self.names[node] = {}

    def _needed_by(self, change: Renamed) -> set[int]:
        slots = {(slot.folder, slot.name) for slot in (*change.gone, *change.come)}
        nodes = {slot.node for slot in (*change.gone, *change.come)}
        removed = {slot.node for slot in change.gone} - {slot.node for slot in change.come}
        needed = set()
        for number, earlier in self._open.items():
            theirs = (*earlier.change.gone, *earlier.change.come)
            if any(
                (slot.folder, slot.name) in slots or slot.node in nodes or slot.folder in removed for slot in theirs
            ):
                needed.add(number)
        return needed

    def _make_certain(self, node: int) -> None:
        if node in self.names:
            self._commit(self._closed({number for number, each in self._open.items() if _touches(each.change, node)}))
            return
        left = []
        for unsynced in self._unsynced.pop(node, []):
            if unsynced.doomed:
                left.append(unsynced)
            else:
                self.data[node] = _written(self.data[node], [unsynced.change])
        if left:
            self._unsynced[node] = left

    def _closed(self, numbers: set[int]) -> set[int]:
        """Those, and all that must be there before them."""
        found: set[int] = set()
        todo = list(numbers)
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo += self._open[number].needs
        return found

    def _followers(self, numbers: set[int]) -> set[int]:
        """Those, and all that cannot be there without them."""
        found = set(numbers)
        for number, transaction in self._open.items():  # in order, and each needs only earlier ones
            if transaction.needs & found:
                found.add(number)
        return found

    def _commit(self, numbers: set[int]) -> None:
        self.names = self._with(numbers)
        for number in numbers:
            del self._open[number]
        for transaction in self._open.values():
            transaction.needs -= numbers

    def _with(self, numbers: set[int]) -> Names:
        names = {folder: dict(inside) for folder, inside in self.names.items()}
        for number in sorted(numbers):
            for slot in self._open[number].change.gone:
                if names[slot.folder].get(slot.name) == slot.node:
                    del names[slot.folder][slot.name]
            for slot in self._open[number].change.come:
                names[slot.folder][slot.name] = slot.node
        return names

    def now(self) -> Shown:
        """What programs see while the power is on."""
        return self._shown(set(self._open), "all", random.Random(0))

    def may_show(self, chance: random.Random, most: int) -> Iterator[Shown]:
        """The states after a cut at this moment: all of them, or the telling ones and a sample, `most` in all."""
        every = self._all_choices(most)
        choices = every if every is not None else self._some_choices(chance, most)
        seen: set[int] = set()
        for numbers, manner in choices:
            shown = self._shown(numbers, manner, chance)
            key = shown.key()
            if key not in seen:
                seen.add(key)
                yield shown

    def is_small(self, most: int) -> bool:
        """Whether all combinations are shown at this moment, rather than a sample."""
        return self._all_choices(most) is not None

    def _all_choices(self, most: int) -> list[tuple[set[int], str]] | None:
        numbers = list(self._open)
        manners = MANNERS if self._unsynced else MANNERS[:1]
        if len(numbers) > 12 or (len(numbers) > 4 and 2 ** len(numbers) * len(manners) > 8 * most):
            return None
        subsets = [
            {number for number, there in zip(numbers, bits, strict=True) if there}
            for bits in product((False, True), repeat=len(numbers))
        ]
        legal = [subset for subset in subsets if self._closed(subset) == subset]
        if len(legal) * len(manners) > most:
            return None
        return [(subset, manner) for subset in legal for manner in manners]

    def _some_choices(self, chance: random.Random, most: int) -> list[tuple[set[int], str]]:
        everything = set(self._open)
        manners = MANNERS if self._unsynced else MANNERS[:1]
        telling = [(subset, manner) for subset in (everything, set[int]()) for manner in manners]
        alone = [self._closed({number}) for number in everything]
        without = [everything - self._followers({number}) for number in everything]
        telling += [(subset, chance.choice(manners)) for subset in (*alone, *without)]
        chance.shuffle(telling)
        sampled = telling[: most * 2 // 3]
        while len(sampled) < most:
            share = chance.choice((0.1, 0.3, 0.5, 0.7, 0.9))
            subset = self._closed({number for number in everything if chance.random() < share})
            sampled.append((subset, chance.choice(("mixed", *manners))))
        return sampled

    def _shown(self, numbers: set[int], manner: str, chance: random.Random) -> Shown:
        names = self._with(numbers)
        tree: Tree = {}
        todo = [("", ROOT)]
        while todo:
            path, node = todo.pop()
            tree[path] = node
            todo += [(f"{path}/{name}" if path else name, below) for name, below in names.get(node, {}).items()]
        content: dict[int, bytes] = {}
        for node in tree.values():
            if node not in names:
                changes = [unsynced.change for unsynced in self._unsynced.get(node, ())]
                content[node] = _part_of(self.data[node], changes, manner, chance) if changes else self.data[node]
        return Shown(tree, content)


MANNERS = ("all", "none", "size alone", "torn", "torn, of full size", "torn at a block", "first block missing")
"""How much of what was written and not synced is there."""


def _part_of(old: bytes, changes: list[Wrote | Sized], manner: str, chance: random.Random) -> bytes:
    if manner == "mixed":
        manner = chance.choice(MANNERS)
    new = _written(old, changes)
    if manner == "all":
        return new
    if manner == "none":
        return old
    kept = old[: len(new)].ljust(len(new), b"\0")
    first = next((at for at, (one, other) in enumerate(zip(new, kept, strict=True)) if one != other), len(new))
    if manner == "size alone":
        return kept
    if manner == "first block missing":
        end = min(len(new), (first // BLOCK + 1) * BLOCK)
        return new[:first] + kept[first:end] + new[end:]
    at = chance.randint(first, len(new))
    if manner == "torn at a block":
        at = chance.randint(first // BLOCK, len(new) // BLOCK) * BLOCK
    if manner == "torn" and len(new) > len(old):
        return new[: max(at, min(len(old), len(new)))]
    return new[:at] + kept[at:]


def _written(old: bytes, changes: list[Wrote | Sized]) -> bytes:
    content = bytearray(old)
    for change in changes:
        if isinstance(change, Sized):
            del content[change.size :]
            content.extend(bytes(change.size - len(content)))
        else:
            end = change.offset + len(change.data)
            content.extend(bytes(max(0, end - len(content))))
            content[change.offset : end] = change.data
    return bytes(content)


def _touches(change: Renamed, folder: int) -> bool:
    return any(slot.folder == folder for slot in (*change.gone, *change.come))
