"""The consumer group of a world. Decides who is assigned what, and nothing else.

As the client does it: before every rebalance each member gives all it has back, and is awaited for a while. Who is
not heard of in time is thrown out and goes on as a zombie until it hears of that.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from consumer.core.terms import Partition
from consumer.service.ports import Committed
from tests.simulation.blows import Blow

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

SESSION_SECONDS = (0.6, 3.0)
REBALANCE_SECONDS = (3.0, 8.0, 45.0)
"""How long a rebalance waits for its members: mostly shorter than they are promised."""


class Group:
    """The coordinator."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = world.dice.stream("group")
        self.committed: dict[int, tuple[int, str]] = {}
        """By partition number: the offset, and what stands beside it."""
        self.generation = 0
        self.members: list[Member] = []
        self._joined: list[Member] = []
        self._preparing = False

    # ---------------------------------------------------------------- who belongs to it

    def wants(self, member: "Member") -> bool:
        """Return whether this member has to join (again)."""
        return member not in self.members or (self._preparing and member not in self._joined)

    def rebalance(self, why: str) -> None:
        """Call everybody together."""
        if self._preparing:
            return
        self._world.note("group", "rebalances", why)
        self._preparing = True
        self._joined = []
        for member in self.members:
            self._world.after(0.5 * self._random.random(), member.call)
        generation = self.generation
        self._world.after(self._random.choice(REBALANCE_SECONDS), lambda: self._complete(generation))

    def join(self, member: "Member") -> None:
        """Take in a member that has given back what it had."""
        if member not in self.members:
            self.members.append(member)
        self.rebalance("somebody joins")
        if member not in self._joined:
            self._joined.append(member)
        if all(each in self._joined for each in self.members):
            generation = self.generation
            self._world.after(0.01, lambda: self._complete(generation))

    def _complete(self, generation: int) -> None:
        """Assign everything anew to those who are here; the others are thrown out."""
        if not self._preparing or generation != self.generation:
            return
        silent = [member for member in self.members if member not in self._joined]
        self._preparing = False
        self.generation += 1
        self.members = [member for member in self.members if member in self._joined]
        for member in silent:
            self._world.note("group", "throws out", member.member)
            self._world.after(0.1, member.call)
        shares: dict[Member, list[Partition]] = {member: [] for member in self.members}
        for partition in self._world.logs.partitions:
            if self.members:
                shares[self._random.choice(self.members)].append(partition)
        for member, share in shares.items():
            self._world.note("group", "assigns", (member.member, [partition.number for partition in share]))
            grant = partial(member.granted, member.joins, self.generation, share)
            self._world.after(self._world.logs.delay(), partial(member.process.deliver, grant))

    def expel(self, member: "Member") -> None:
        """Throw a member out."""
        if member in self.members:
            self.members.remove(member)
            self._world.note("group", "expels", member.member)
            if member in self._joined:
                self._joined.remove(member)
            self._world.after(0.1, member.call)
            self.rebalance("a member is gone")

    def vanished(self, member: "Member") -> None:
        """A member's process is gone: nobody says so."""
        self._world.after(self._random.uniform(*SESSION_SECONDS), lambda: self.expel(member))

    def falls_silent(self, member: "Member", seconds: float) -> None:
        """A member's heartbeats stop for so long."""
        session = self._random.uniform(*SESSION_SECONDS)
        if session < seconds:
            self._world.after(session, lambda: self.expel(member))

    def calm(self) -> None:
        """Let everybody hear again."""
        for process in self._world.processes:
            process.member.hears()

    # ---------------------------------------------------------------- commits

    def commit(self, member: "Member", generation: int, offsets: Mapping[Partition, Committed]) -> bool:
        """Take a commit, of a member of this generation."""
        if member not in self.members or generation != self.generation:
            return False
        for partition, commit in offsets.items():
            self.committed[partition.number] = (commit.offset, commit.metadata)
            self._world.note(member.member, "commits", (partition.number, commit.offset))
            if self is self._world.group:
                self._world.judge.committed(partition.number, commit.offset)
        return True

    def meddle(self, blow: Blow) -> None:
        """Let an operator's tool move the group."""
        number = blow.where % len(self._world.logs.events)
        offset, _ = self.committed.get(number, (0, ""))
        end = self._world.logs.events[number].end
        match blow.kind:
            case "forget":
                self.committed.pop(number, None)
            case "rewind":
                self.committed[number] = (int(offset * blow.amount), "")
            case _:
                target = offset + int((end - offset) * blow.amount)
                self.committed[number] = (target, "")
                self._world.judge.removed(number, target)

    def published(self, partition: Partition) -> None:
        """Tell members that wait for records."""
        for process in self._world.processes:
            process.member.stirred(partition)
