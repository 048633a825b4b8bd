"use strict";
const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
const SIGNS = { good: "✓", warn: "!", bad: "✕" };
const PARTITION_GRADES = { owned: "good", claiming: "warn", reading: "warn", unsure: "warn", lost: "warn", stopped: "bad" };
const ACCESS_WORDS = {
  open: ["good", "sending"],
  first_contact: ["warn", "first contact: no 2xx yet, one request at a time"],
  stopped: ["bad", "stopped: the platform does not let us in"],
  unreachable: ["bad", "the platform cannot be reached, one request at a time"],
  paused: ["warn", "paused: the platform asked for it"],
};
const at = (id) => document.getElementById(id);
const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const mebibytes = (value) => `${(value / 1048576).toFixed(1)} MiB`;

function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Text goes in as text, never as markup: whatever the status holds, nothing of it is run.
function element(tag, content, className) {
  const made = document.createElement(tag);
  if (content instanceof Node) made.append(content);
  else made.textContent = content;
  if (className) made.className = className;
  return made;
}

const graded = (grade, words) => element("span", `${SIGNS[grade]} ${words}`, grade);

function list(id, pairs, otherwise) {
  const items = pairs.flatMap(([term, content]) => [element("dt", term), element("dd", content)]);
  at(id).replaceChildren(...(items.length ? items : [element("dt", otherwise || "nothing yet")]));
}

function refused(now) {
  const named = now.access.refused_campaigns.map((campaign) => {
    const seconds = now.access.refused_seconds[campaign];
    return seconds === undefined ? campaign : `${campaign} (${span(seconds)})`;
  });
  const more = now.access.refused_count - named.length;
  return named.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

// What operators hold: who, why and since when. `campaign-consumer campaigns list` says the same.
function held(now) {
  const rows = now.holds.holds.map((hold) => [
    hold.campaignId === null ? "Everything" : `Campaign ${hold.campaignId}`,
    `${hold.reject ? "rejected" : "waits"}, by ${hold.operator} since ${hold.since}: ${hold.reason}`,
  ]);
  if (now.holds.cancellations.length) rows.push(["Cancellations in force", count(now.holds.cancellations.length)]);
  return rows;
}

function gauge(label, value, max) {
  const made = document.createElement("meter");
  made.max = max || 1;
  made.high = 0.9 * (max || 1);
  made.value = value;
  made.setAttribute("aria-label", label);
  return made;
}

function row(partition) {
  const made = document.createElement("tr");
  const name = element("th", `${partition.topic}:${partition.partition}`, "text");
  name.scope = "row";
  made.append(name, element("td", graded(PARTITION_GRADES[partition.state] || "warn", partition.state), "text"));
  for (const key of ["lag", "held", "committed", "watermark", "position", "log_end"]) {
    made.append(element("td", count(partition[key])));
  }
  made.append(element("td", partition.paused ? "paused" : "reading", "text"));
  made.append(element("td", partition.why || "", "text why"));
  return made;
}

function show(now) {
  at("who").textContent = `${now.version} · group ${now.group} · member ${now.member || "–"} · ${now.state} · up ${span(now.uptime_seconds)}`;
  const grade = now.verdict.grade;
  const words = now.verdict.sentence;
  const said = `${SIGNS[grade]} ${words}`;
  if (at("verdict").textContent !== said) at("verdict").textContent = said; // a screen reader speaks changes alone
  at("verdict").className = `verdict ${grade}`;

  const [accessGrade, accessWords] = ACCESS_WORDS[now.access.state] || ["warn", now.access.state];
  const access = [["State", graded(accessGrade, accessWords)], ["Since", now.access.since]];
  if (now.access.why) access.push(["Why", now.access.why]);
  if (now.access.refused_count) access.push(["Refused campaigns", refused(now)]);
  if (now.access.next_probe_in_seconds !== null) access.push(["Next probe in", `${now.access.next_probe_in_seconds.toFixed(1)} s`]);
  list("access", access);

  list("holds", held(now), "nothing is held");
  const lag = now.partitions.reduce((sum, partition) => sum + (partition.lag || 0), 0);
  list("sends", [
    ["Lag, all partitions", count(lag)],
    ["Windows open", count(now.windows_open)],
    ["Queued", count(now.sends.queued)],
    ["In flight", `${count(now.sends.in_flight)} of ${count(now.limits.max_concurrency)}`],
    ["A campaign at most", count(now.limits.max_concurrency_per_campaign)],
  ]);
  list("buffer", [
    ["Events", `${count(now.buffer.events)} of ${count(now.buffer.max_events)}`],
    ["Events, filled", gauge("Buffer, events", now.buffer.events, now.buffer.max_events)],
    ["Size", `${mebibytes(now.buffer.bytes)} of ${mebibytes(now.buffer.max_bytes)}`],
    ["Size, filled", gauge("Buffer, bytes", now.buffer.bytes, now.buffer.max_bytes)],
  ]);
  list("results", Object.entries(now.results).map(([status, total]) => [status.replace("_", " "), count(total)]));
  list("repeats", [
    ["Event IDs remembered", count(now.deduplication.entries)],
    ["Effective window", span(now.deduplication.effective_window_seconds)],
  ]);
  list("campaigns", Object.entries(now.sends.in_flight_by_campaign).map(([id, total]) => [id, count(total)]), "none");
  at("partitions").replaceChildren(...now.partitions.map(row));
}

async function ask() {
  try {
    const answer = await fetch("status", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    show(await answer.json());
    at("asked").textContent = `As of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    const said = "✕ the service does not answer; the figures below are old";
    if (at("verdict").textContent !== said) at("verdict").textContent = said;
    at("verdict").className = "verdict bad";
  }
  setTimeout(ask, document.hidden ? 10 * EVERY_MS : EVERY_MS);
}
ask();
