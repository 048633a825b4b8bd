// Recent sends, and the search by event or by send. Asks the service's own /sends and nobody else.

const SENDS_EVERY_MS = 3000;
let wanted = null; // what is searched for; null: the latest sends

// What it came to; of one that is tried again, what it does and what the last answer was.
function stateOf(send) {
  if (!send.answer) return text(send.state);
  const grade = ANSWER_GRADES[send.answer] || "warn";
  if (send.state !== "ended") return graded(grade, `${send.state} after ${send.status || words(send.answer)}`);
  return graded(grade, `${words(send.answer)}${send.status ? ` ${send.status}` : ""}`);
}

function showSends(found) {
  rows(
    "sends",
    list(found.sends).map((send) => [
      text(clock(send.started_at)),
      text(`${known(send.campaign)}${send.priority === "immediate" ? " immediate" : ""}`),
      number(count(send.contacts)),
      number(count(send.attempt), "opt"),
      stateOf(send),
      number(isNumber(send.took_seconds) ? span(send.took_seconds) : ""),
      wanted && wanted.kind === "send" ? text(send.send_id, "free id") : sendButton(send.send_id),
    ]),
    wanted ? "No send of it is known." : "No send yet.",
  );
  const events = list(found.events);
  at("events-box").hidden = !events.length;
  rows(
    "events",
    events.map((event) => [
      { ...text(event.event_id, "free id"), heading: true },
      text(event.campaign || ""),
      text(`${event.topic}:${event.partition} @ ${event.offset}`),
      text(words(event.state)),
      number(count(event.attempts)),
      text(event.outcome ? `${words(event.outcome.status)}${event.outcome.reason ? `: ${words(event.outcome.reason)}` : ""}` : ""),
      event.send_id ? sendButton(event.send_id) : text(""),
    ]),
    "",
  );
}

async function askSends() {
  const asked = wanted;
  const query = asked ? `?${asked.kind}=${encodeURIComponent(asked.id)}` : "";
  try {
    const answer = await fetch(`sends${query}`, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (asked !== wanted) return; // another question was asked meanwhile
    const found = await answer.json();
    if (answer.status === 404) say(`Nothing is known of ${asked.kind} ${asked.id}: ${found.cure}.`);
    else if (!answer.ok) say(found.error);
    else if (asked) say(`${asked.kind === "event" ? "Event" : "Send"} ${asked.id}: ${list(found.events).length} events, ${list(found.sends).length} sends.`);
    showSends(answer.ok ? found : {});
  } catch (error) {
    if (asked === wanted && asked) say("The service does not answer.");
  }
}

function say(what) {
  if (at("found").textContent !== what) at("found").textContent = what;
}

function search(kind, id) {
  wanted = id ? { kind, id } : null;
  if (!wanted) say("");
  return askSends();
}

at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(at("kind").value, at("wanted").value.trim());
});
at("search").addEventListener("reset", () => search("event", ""));
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[data-send]") : null;
  if (!button) return;
  at("kind").value = "send";
  at("wanted").value = button.dataset.send;
  search("send", button.dataset.send);
  at("h-sends").scrollIntoView({ block: "nearest" });
});
