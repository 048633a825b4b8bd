"""Who has waited longest is known without asking everybody, whatever has come and gone meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.sending.first_arrivals import FirstArrivals
from consumer.core.terms import Ticks


class Waiting:
    """What waits by campaign, and how often somebody went through it."""

    def __init__(self) -> None:
        self.of: dict[int, list[Ticks]] = {}
        self.looks = 0
        self.arrivals = FirstArrivals(self.first_of)

    def first_of(self, campaign_id: int) -> Ticks | None:
        self.looks += 1
        return min(self.of.get(campaign_id, ()), default=None)

    def come(self, campaign_id: int, arrived: float) -> None:
        self.of.setdefault(campaign_id, []).append(Ticks(arrived))
        self.arrivals.came(campaign_id, Ticks(arrived))

    def firsts(self) -> dict[int, float]:
        return {campaign_id: min(waiting) for campaign_id, waiting in self.of.items() if waiting}


CAMPAIGNS = st.integers(1, 6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("comes"), CAMPAIGNS, st.integers(0, 50)),
        st.tuples(st.just("leaves"), CAMPAIGNS, st.integers(0, 50)),
        st.tuples(st.just("is thinned"), CAMPAIGNS, st.integers(0, 50)),
        st.tuples(st.just("is asked"), CAMPAIGNS, st.integers(0, 6)),
    ),
    max_size=40,
)


@given(STEPS, st.sets(CAMPAIGNS))
def test_the_eldest_are_those_who_really_are(steps: list[tuple[str, int, int]], blocked: set[int]) -> None:
    waiting = Waiting()
    for what, campaign_id, number in steps:
        mine = waiting.of.get(campaign_id, [])
        if what == "comes":
            waiting.come(campaign_id, number)
        elif what == "leaves" and mine:
            del mine[number % len(mine)]
            waiting.arrivals.left(campaign_id)
        elif what == "is thinned" and mine:  # nobody says so: some members of a queued send were taken out
            mine[number % len(mine)] = Ticks(mine[number % len(mine)] + number)
        elif what == "is asked":
            theirs, others = waiting.arrivals.eldest(number, blocked=blocked)
            firsts = waiting.firsts()
            for told, among in ((theirs, firsts.keys() & blocked), (others, firsts.keys() - blocked)):
                assert all(firsts[one] == since for one, since in told.items())
                assert list(told.values()) == sorted(firsts[one] for one in among)[:number]


def test_what_stays_costs_nobody_a_look() -> None:
    waiting = Waiting()
    for campaign_id in range(10_000):
        waiting.come(campaign_id, float(campaign_id))
    assert list(waiting.arrivals.eldest(3, blocked={1})[1]) == [0, 2, 3]
    assert waiting.looks == 4
    waiting.of[0].clear()
    waiting.arrivals.left(0)
    assert list(waiting.arrivals.eldest(3, blocked=())[1]) == [1, 2, 3]
    assert waiting.looks == 4 + 1 + 3


def test_a_campaign_that_is_forgotten_is_told_no_more() -> None:
    waiting = Waiting()
    waiting.come(1, 5.0)
    waiting.come(2, 6.0)
    waiting.arrivals.left(1)
    waiting.arrivals.forget(1)
    assert waiting.arrivals.eldest(9, blocked=()) == ({}, {2: 6.0})
    waiting.arrivals.clear()
    assert waiting.arrivals.eldest(9, blocked=()) == ({}, {})
