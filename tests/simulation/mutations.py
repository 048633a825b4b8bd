"""Rules of the protocol, each broken on purpose: what the simulation must be able to see. Repairs nothing."""

from tests.simulation.mutating import Mutation, mutation
from tests.simulation.parked_mutations import PARKED_MUTATIONS
from tests.simulation.styles import RIVALS_FROM, SILENCE_FROM


def _anew(budget: str) -> str:
    """Return code by which a take-over starts a budget anew."""
    kept = f"{{name: getattr(trials, name) for name in trials.__struct_fields__ if name != {budget!r}}}"
    return f"record.history = type(trials)(**{kept})"


CORE, SERVICE = "consumer.core", "consumer.service"

_PAUSED_FOR_EVER = (f"{SERVICE}.partitions:Partitions.pause_and_resume", "if resume:", "if resume and False:")
NEVER_READ_AGAIN = mutation("what was paused is read again", _PAUSED_FOR_EVER)
NEVER_READ_AGAIN_AND_GREEN = mutation(
    "what is not read is told by a probe",
    _PAUSED_FOR_EVER,
    (f"{SERVICE}.progress:_has_work", "end > lane.watermark.position", "False"),
)
"""The second must not be needed to see the first: then the probes would have told nothing."""

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "an append is proven by its offset",
        (
            f"{CORE}.journal.ledger:Ledger._append_landed",
            "if base == self._out_at:",
            "self._out_at = base\n        if True:",
        ),
    ),
    mutation(
        "no request before its proof",
        (
            f"{CORE}.sending.delivery:Delivery._intend",
            "self._out[send.send_id] = (send, parts)",
            """self._out[send.send_id] = (send, parts)
        send.unproven.clear()
        send.proven_at = now.steady
        send.move(SendStage.POSTING)
        self.to_post.append(send)""",
        ),
        (
            f"{CORE}.sending.delivery:Delivery.intent_proven",
            "if send.stage is not SendStage.PROVING",
            "if True:\n            return\n        if send.stage is not SendStage.PROVING",
        ),
    ),
    mutation(
        "an entry counts only where it says it stands",
        (f"{CORE}.journal.entries:Placed.counts", "self.at == self.offset", "True"),
    ),
    mutation(
        "a record that is no entry proves nothing",
        (
            f"{CORE}.journal.entries:Placed.counts",
            "(self.at == self.offset and not isinstance(self.entry, Stray))",
            "isinstance(self.entry, Stray) or self.at == self.offset",
        ),
    ),
    mutation(
        "whoever starts looks whose the journal is before he writes",
        (f"{SERVICE}.takeover:Takeover.other_group", "None if group == self._group else group", "None"),
    ),
    mutation(
        "a claim by mistake is no title to a journal",
        (f"{CORE}.journal.group:JournalOwnership.read", "self._first_claim = group", "self._proven = group"),
    ),
    mutation(
        "an attempt whose answer is lost is never called returned",
        (f"{CORE}.history:Fate.is_unknown", "self in (Fate.ERRED, Fate.LOST)", "False"),
    ),
    mutation(
        "`returned` closes one attempt alone",
        (
            f"{CORE}.journal.attempts:Attempts._close",
            "closed = self._take(returned.send_id, returned.attempt)",
            """closed = self._take(returned.send_id, returned.attempt)
        self._open.pop(returned.send_id, None)
        for offset in closed.offsets if closed is not None else ():
            self._tried.pop(offset, None)""",
        ),
    ),
    mutation(
        "the watermark stops at what is not done",
        (
            f"{CORE}.journal.watermark:Watermark.value",
            "self._open[0] if self._open",
            "Offset(self._open[0] + 1) if self._open",
        ),
    ),
    mutation(
        "a checkpoint names the first outcome that is not published",
        (
            f"{CORE}.journal.lane:Lane.checkpoint",
            "unpublished=min(self.unpublished, default=None)",
            "unpublished=min(sorted(self.unpublished)[1:], default=None)",
        ),
    ),
    mutation(
        "a gap is read",
        (f"{CORE}.journal.ledger:Ledger.gap_read", "self.gap = None", "self.gap = None\n        entries = []"),
    ),
    mutation(
        "a take-over reads the journal",
        (f"{CORE}.journal.replay:Replay.feed", "for offset, value in entries:", "for offset, value in ():"),
    ),
    mutation(
        "a checkpoint holds the open attempts",
        (f"{CORE}.journal.lane:Lane.checkpoint", "open_attempts=self.attempts.returnable(),", "open_attempts=(),"),
    ),
    mutation(
        "a checkpoint holds the doubt of attempts that it does not name",
        (f"{CORE}.journal.lane:Lane.checkpoint", "doubted=doubted,", "doubted=(),"),
    ),
    mutation(
        "a claim anew keeps the answers in hand",
        (
            f"{CORE}.journal.ledger:Ledger.failed",
            "self._busy = False",
            "self._busy = False\n        self._out.clear()\n        self._waiting.clear()",
        ),
    ),
    mutation(
        "a revoke waits no longer than its bound",
        (f"{SERVICE}.service:Service._on_revoked", "seconds=REVOKE_DRAIN_SECONDS", "seconds=1e9"),
    ),
    mutation(
        "no person twice in one send",
        (
            f"{CORE}.sending.window:Windows.add_all",
            "and person not in (window := windows[0]).by_person",
            "and (window := windows[0])",
        ),
        (f"{CORE}.sending.window:Windows._window_for", "if event.person in window.by_person:", "if False:"),
    ),
    mutation(
        "a number beside its country code is a kind of its own",
        (
            f"{CORE}.person:_by_number",
            "return Identity.NATIONAL, _last_digits(code + digits)",
            'return Identity.E164, "+" + code + digits',
        ),
    ),
    mutation(
        "a phone is one person however it is spelled",
        (f"{CORE}.person:_last_digits", 'digits[TELLING] or "0"', "digits"),
    ),
    mutation(
        "a result is the same whoever publishes it",
        (f"{CORE}.journal.replay:Replay._recall", "received_at=received_at", "received_at=received_at + 1"),
    ),
    mutation(
        "whoever takes over knows the unknown attempts",
        (f"{CORE}.journal.replay:Replay.taken_over", "trials=trials,", "trials={},"),
    ),
    mutation(
        "whoever takes over knows the settled event IDs of the journal's tail",
        (f"{CORE}.journal.replay:Replay.taken_over", "ids=self._ids,", "ids={},"),
    ),
    mutation(
        "whoever takes over knows the settled event IDs of segments",
        (f"{SERVICE}.recalling:Recalling.segments", "if ref.until < horizon:", "if True:"),
    ),
    mutation(
        "a checkpoint names every segment",
        (
            f"{CORE}.memory.deduplication:Deduplication.memory",
            "for piece in memory.pieces for ref in piece.named())",
            "for piece in memory.pieces[1:] for ref in piece.named())",
        ),
    ),
    mutation(
        "a segment that is made of others holds all of theirs",
        (f"{CORE}.memory.segments:merged", "in reversed(segments))", "in reversed(segments[:1]))"),
    ),
    mutation(
        "a tail is not read any more once its IDs stand in a segment, and not before",
        (
            f"{CORE}.memory.deduplication:Deduplication.to_write",
            "if memory.fresh:",
            "memory.upto = end\n        if memory.fresh:",
        ),
    ),
    mutation(
        "a person's next message waits for the outcome of the one before",
        (
            f"{CORE}.intake.admit:Admission._wait",
            "queue.append(event)",
            "queue.append(event)\n        self._windows.add_all([event], Now(event.received_at, event.arrived))",
        ),
    ),
    mutation(
        "a repeat waits for the first of its ID",
        (
            f"{CORE}.intake.admit:Admission.admit",
            "elif in_hand.setdefault(fingerprint, event) is not event:",
            "elif False:",
        ),
    ),
    mutation(
        "the last look sees deadlines",
        (f"{CORE}.sending.delivery:Delivery.last_look", "return Withholding.EXPIRED", "pass"),
    ),
    mutation(
        "the last look sees that a proof is old",
        (f"{CORE}.sending.delivery:Delivery.last_look", "return Withholding.STALE_PROOF", "pass"),
    ),
    mutation(
        "a proof that is heard of too late is none",
        (f"{CORE}.sending.delivery:Delivery.intent_proven", "if send.prove_by <= now.steady:", "if False:"),
        # a process that was frozen does not know what is held, and would start nothing for that alone
        (f"{CORE}.platform.holds:Holds.is_blind", "<= FRESH_SECONDS", "<= 1e9"),
    ),
    mutation(
        "a partition that has left is noticed",
        (f"{CORE}.sending.delivery:Delivery.last_look", "return Withholding.NOT_OURS", "pass"),
        (f"{CORE}.sending.parts:dropped", "if lane.dropped", "if False"),
    ),
    mutation(
        "`hold` holds at a take-over, too",
        (f"{CORE}.platform.retry:may_repeat", "policy.on_unknown is OnUnknown.RESEND and", ""),
    ),
    mutation(
        "lost answers count over all owners",
        (f"{CORE}.intake.admit:Admission._recall", "record.history = trials", _anew("answers_lost")),
        first_seed=SILENCE_FROM,
    ),
    mutation(
        "attempts count over all owners",
        (f"{CORE}.intake.admit:Admission._recall", "record.history = trials", _anew("counted")),
    ),
    mutation(
        "an attempt whose owner was lost counts as a lost answer",
        (f"{CORE}.journal.attempts:Attempts.trials", "fate=Fate.LOST", "fate=Fate.ERRED"),
        (f"{CORE}.journal.attempts:Attempts.unknown", "fate=fate", "fate=Fate.ERRED"),
        first_seed=SILENCE_FROM,
    ),
    mutation(
        "doubt dominates",
        (f"{CORE}.sending.settle:closing_verdict", "if not history.lost:", "if True:"),
    ),
    mutation(
        "a record is done when its result is acknowledged, not before",
        (
            f"{SERVICE}.publisher:ResultsPublisher.flush",
            "await self._publish(queue, number, batch)\n                self._published(batch)",
            "self._published(batch)\n                await self._publish(queue, number, batch)",
        ),
    ),
    mutation(
        "what was too large to be appended at once is appended in pieces",
        (f"{CORE}.journal.ledger:Ledger.too_large", "self._waiting.extendleft(reversed(out))", "pass"),
    ),
    mutation(
        "the ends of transactions are passed once all before them is done",
        (f"{CORE}.pipeline:Pipeline.passed", "if not lane.dropped", "if False and not lane.dropped"),
    ),
    NEVER_READ_AGAIN,
    NEVER_READ_AGAIN_AND_GREEN,
    mutation(
        "no more is read than the buffer has room for",
        (
            f"{SERVICE}.service:Service._most_records",
            "else min(FETCH_RECORDS, self.pipeline.buffer.room_events)",
            "else FETCH_RECORDS",
        ),
    ),
    mutation(
        "a stop narrows to those who were refused",
        (f"{CORE}.platform.access:Access._narrow_to", "self._refuse(", "self._is_stopped and self._refuse("),
        (f"{CORE}.platform.access:Access.accepted", "self._is_contacted, self._is_stopped = True, False", "pass"),
    ),
    mutation(
        "a campaign that is refused for too long is given up",
        (f"{CORE}.sending.endings:Endings._is_hopeless", "return self._access", "return False and self._access"),
    ),
    mutation(
        "a pause of a campaign is nobody else's",
        (
            f"{CORE}.platform.access:Access.asked_to_wait",
            "span = self.pauses.ask(campaign_id,",
            "span = self.pauses.ask(None,",
        ),
    ),
    mutation(
        "an outage is over with the first answer",
        (f"{CORE}.platform.breaker:Breaker._close", "self.trouble, self.again_at = None, AT_ONCE", "pass"),
    ),
    mutation(
        "who was never the probe goes before who was",
        (f"{CORE}.sending.send_queue:SendQueue._next_to_probe", "if again_at is None:", "if again_at is None or True:"),
    ),
    mutation(
        "what has landed lets its campaign go on",
        (f"{CORE}.sending.send_queue:SendQueue.attempt_ended", "elif queue.where is Where.BLOCKED:", "elif False:"),
    ),
    mutation(
        "a hold that is read is obeyed",
        (
            f"{CORE}.platform.holds:Holds.holds_campaign",
            "campaign_id in self._holds or None in self._holds",
            "False",
        ),
    ),
    mutation(
        "what is out is not cancelled",
        (
            f"{CORE}.stops:Stops.close_some",
            """if event.send_id is not None:
                in_sends.append(event)
            elif""",
            """if event.send_id is not None and self._places.queue.find(event) is not None:
                in_sends.append(event)
            elif event.send_id is not None or""",
        ),
    ),
    mutation(
        "what is out gives way to nobody",
        (
            f"{CORE}.rivals:Rivals._keep_latest",
            "if event.send_id is not None:",
            """if event.send_id is not None and self._places.delivery.find(event) is not None:
                lone.append((superseded(newest, Reason.NEWER_EVENT, now), [event]))
            elif event.send_id is not None:""",
        ),
        first_seed=RIVALS_FROM,
    ),
    mutation(
        "an event gives way to a newer one, never to an older",
        (f"{CORE}.rivals:Rivals._keep_latest", "superseded(newest,", "superseded(queue[0],"),
        first_seed=RIVALS_FROM,
    ),
    mutation(
        "nothing starts before the control topic is read",
        (f"{CORE}.platform.holds:Holds.is_blind", "self._heard_at is not None and", "self._heard_at is None or"),
    ),
    mutation(
        "nothing starts on what was heard of holds long ago",
        (f"{CORE}.platform.holds:Holds.is_blind", "now.steady - self._heard_at <= FRESH_SECONDS", "True"),
    ),
    mutation(
        "a cancellation is of what was published before it alone",
        (
            f"{CORE}.platform.holds:Holds._is_before",
            "event.timestamp_ms < cancellation.before * 1000",
            "True",
        ),
    ),
    *PARKED_MUTATIONS,
)
