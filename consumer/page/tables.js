// What the status says, part by part. Every field may be null, or not be there yet.

const PARTITION_GRADES = { owned: "good", claiming: "warn", reading: "warn", unsure: "warn", lost: "warn", stopped: "bad" };
const ACCESS_WORDS = {
  open: ["good", "open"],
  first_contact: ["warn", "first contact: no 2xx yet, one request at a time"],
  stopped: ["bad", "refuses us, one request at a time"],
  unreachable: ["bad", "cannot be reached, one request at a time"],
  failing: ["bad", "fails most requests, the breaker is open"],
  paused: ["warn", "asked for a pause"],
};
const WHY_WORDS = {
  window: "its window",
  slot: "a slot",
  person: "same person",
  retry: "a retry",
  throttled: "429",
  refused: "refused",
  held: "operator",
  access: "platform",
  journal: "journal",
  in_flight: "an answer",
  settling: "its result",
  parked: "room",
};
const ANSWER_GRADES = { accepted: "good", refused: "warn", denied: "bad", not_delivered: "warn", unknown: "bad", withheld: "warn" };

function verdict(now) {
  const said = now.verdict || { grade: "warn", sentence: words(now.state || "starting"), causes: [] };
  const grade = SIGNS[said.grade] ? said.grade : "warn";
  at("verdict").className = `verdict ${grade}`;
  at("sign").textContent = SIGNS[grade];
  at("sentence").textContent = said.sentence;
  const causes = list(said.causes);
  const made = causes.map((cause) => {
    const line = element("li", element("span", SIGNS[cause.grade] || "!", cause.grade));
    line.append(element("span", cause.sentence));
    const facts = [];
    if (cause.since) facts.push(`since ${clock(cause.since)} (${span(since(cause.since))})`);
    if (isNumber(cause.events)) facts.push(`${count(cause.events)} events`);
    if (cause.next_try_at) facts.push(`next try in ${span(Math.max(0, -since(cause.next_try_at)))}`);
    const box = element("span", "", "facts");
    for (const fact of facts) box.append(element("span", fact));
    if (cause.runbook) {
      const runbook = element("span", "runbook: ");
      runbook.append(element("code", cause.runbook));
      box.append(runbook);
    }
    if (box.children.length) line.append(box);
    return line;
  });
  at("causes").replaceChildren(...made);
  speak(grade, causes.map((cause) => cause.cause), said.sentence);
  const name = `${SIGNS[grade]} ${grade === "good" ? "" : `${said.sentence} · `}Campaign consumer`;
  if (document.title !== name) document.title = name;
  paint(grade);
}

// Nobody shall take a rehearsal for the real thing.
function modes(now) {
  const { dry_run: isDry, test_recipients: recipients } = now.modes || {};
  const said = [];
  if (isDry) said.push("DRY RUN: no request is made, nobody is texted");
  if (recipients) said.push(`TEST RECIPIENTS: nobody is texted but the ${count(recipients)} on the list`);
  at("modes").hidden = !said.length;
  at("modes").textContent = said.join(" · ");
}

// A screen reader hears when the verdict is another one, not each time a figure in it moves.
let spoken = "";
function speak(grade, causes, sentence) {
  const key = causes.length ? `${grade} ${causes.join(" ")}` : `${grade} ${sentence.replace(/[\d.,]+/g, "")}`;
  if (key === spoken) return;
  spoken = key;
  at("spoken").textContent = sentence;
}

const ICON_COLOURS = { good: "1b9e57", warn: "d99a1c", bad: "d8362f" };
let painted = "";
function paint(grade) {
  if (painted === grade) return;
  painted = grade;
  at("icon").href = `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%23${ICON_COLOURS[grade]}'/></svg>`;
}

function figure(label, value, unit, more) {
  const box = element("div", element("dt", label));
  const big = element("dd", element("span", value, "value"));
  if (unit) big.append(element("span", unit, "unit"));
  box.append(big, element("dd", more, "more"));
  return box;
}

function figures(now) {
  const newest = samples.length - 1;
  const late = quantile(newest, "normal", 0.95, 60);
  const urgent = quantile(newest, "immediate", 0.95, 60);
  const stages = Object.entries(now.oldest || {}).filter(([, seconds]) => isNumber(seconds));
  const [stage, seconds] = stages.reduce((most, each) => (each[1] > most[1] ? each : most), ["", -1]);
  const buffer = now.buffer || {};
  const filled = Math.max(buffer.events / buffer.max_events || 0, buffer.bytes / buffer.max_bytes || 0);
  const sends = now.sends || {};
  const limits = now.limits || {};
  const urgentLate = isNumber(now.urgent_late_seconds) ? `, urgent topics ${span(now.urgent_late_seconds)} late` : "";
  at("figures").replaceChildren(
    figure("Behind", ...split(span(now.lag_seconds)), `${count(lagOf(now))} records without a result${urgentLate}`),
    figure("Oldest in hand", ...split(stage ? span(seconds) : NOTHING), stage ? words(stage) : "nothing waits"),
    figure("95 % accepted within", ...split(late === null ? NOTHING : span(late)), `immediate ${urgent === null ? NOTHING : span(urgent)}, last minute`),
    figure("Accepted", rate(perSecond(newest, "contacts_accepted", 10)), "/s", `${count((now.totals || {}).contacts_accepted)} since start`),
    figure("Sends", rate(perSecond(newest, "requests", 10)), "/s", `${count(sends.in_flight)} of ${count(limits.concurrency ?? limits.max_concurrency)} in flight, ${count(sends.queued)} queued`),
    figure("Buffer", rate(100 * filled), "%", `${count(buffer.events)} of ${count(buffer.max_events)} events${buffer.parked ? `, ${count(buffer.parked)} parked` : ""}`),
  );
}

function split(said) {
  const cut = said.indexOf(" ");
  return cut > 0 && said.indexOf(" ", cut + 1) < 0 ? [said.slice(0, cut), said.slice(cut + 1)] : [said, ""];
}

function lagOf(now) {
  if (isNumber(now.lag)) return now.lag;
  const known = list(now.partitions).filter((partition) => isNumber(partition.lag));
  return known.length ? known.reduce((sum, partition) => sum + partition.lag, 0) : null;
}

function partitions(now) {
  const all = list(now.partitions);
  const rank = (partition) => (PARTITION_GRADES[partition.state] === "bad" ? 0 : PARTITION_GRADES[partition.state] === "good" ? 2 : 1);
  const urgency = (partition) => (partition.urgent ? 0 : 1);
  const sorted = [...all].sort((a, b) => rank(a) - rank(b) || urgency(a) - urgency(b) || String(a.topic).localeCompare(b.topic) || a.partition - b.partition);
  const most = Math.max(1, ...all.map((partition) => partition.lag || 0));
  const topics = new Set(all.map((partition) => partition.topic));
  at("topic").textContent = topics.size === 1 ? known(all[0].topic) : "";
  const name = (partition) => {
    const place = topics.size === 1 ? String(known(partition.partition)) : `${known(partition.topic)}:${known(partition.partition)}`;
    return { ...text(partition.urgent ? `${place} (urgent)` : place), heading: true };
  };
  rows(
    "partitions",
    sorted.flatMap((partition) => {
      const found = partition.lag_parts ? PARTS.map((part) => [part, partition.lag_parts[part] || 0]) : [["plain", partition.lag || 0]];
      const said = found.filter(([, value]) => value > 0).map(([part, value]) => `${words(part)} ${count(value)}`);
      const line = [
        name(partition),
        graded(PARTITION_GRADES[partition.state] || "warn", words(partition.state)),
        number(count(partition.lag)),
        number(span(partition.lag_seconds)),
        { parts: found, most, said: said.join(", "), className: "text bar-cell broad" },
      ];
      return partition.why ? [line, [{ ...text(partition.why, "free after"), wide: true }]] : [line];
    }),
    "No partition is assigned here.",
  );
  rows(
    "offsets",
    sorted.map((partition) => [
      name(partition),
      ...[partition.held, partition.committed, partition.watermark, partition.position, partition.log_end].map((offset) => number(count(offset))),
      text(partition.paused ? "paused" : "reading"),
    ]),
    "No partition is assigned here.",
  );
}

function holding(now) {
  const access = now.access || {};
  const [grade, said] = ACCESS_WORDS[access.state] || ["warn", words(access.state || "unknown")];
  const platform = [["State", said, grade], ["Since", clock(access.since)]];
  if (access.why) platform.push(["Why", access.why]);
  if (isNumber(access.next_probe_in_seconds)) platform.push(["Next try in", span(access.next_probe_in_seconds)]);
  const breaker = now.breaker || {};
  if (breaker.state && breaker.state !== "closed") {
    const again = breaker.until ? `, one request tries in ${span(Math.max(0, -since(breaker.until)))}` : "";
    platform.push(["Breaker", `${words(breaker.state)}${again}`, "bad"]);
  }
  if (access.refused_count) platform.push(["Refused campaigns", refused(access), "warn"]);
  pairs("access", platform);

  const sends = now.sends || {};
  const limits = now.limits || {};
  const busiest = Object.entries(sends.in_flight_by_campaign || {})[0];
  const slots = isNumber(limits.concurrency) ? limits.concurrency : limits.max_concurrency;
  const isLess = slots < limits.max_concurrency;
  const bounds = [["requests_per_second", "Requests a second"], ["contacts_per_second", "Contacts a second"]];
  pairs("limits", [
    ["Requests in flight", `${count(sends.in_flight)} of ${count(slots)}`, isLess ? "warn" : undefined],
    ...(isLess ? [["As the platform allows", `${count(slots)} of ${count(limits.max_concurrency)} slots`]] : []),
    ...bounds.filter(([name]) => isNumber(limits[name])).map(([name, label]) => [label, `${rate(limits[name])} at most`]),
    ["Busiest campaign", busiest ? `${busiest[0]}: ${count(busiest[1])} of ${count(limits.max_concurrency_per_campaign)}` : `none of ${count(limits.max_concurrency_per_campaign)}`],
    ["Queued sends", count(sends.queued)],
  ]);

  const holds = list((now.holds || {}).holds).map((hold) => [
    hold.campaignId === null ? "Everything" : `Campaign ${hold.campaignId}`,
    `${hold.reject ? "rejects" : "waits"}: ${hold.reason} (${hold.operator}, ${clock(hold.since)})`,
    "warn",
  ]);
  const cancelled = list((now.holds || {}).cancellations).length;
  if (cancelled) holds.push(["Cancellations in force", count(cancelled)]);
  pairs("holds", holds, "Nothing is held.");

  const buffer = now.buffer || {};
  const full = (value, most) => (value >= 0.9 * most ? "warn" : undefined);
  pairs("buffer", [
    ["Events", `${count(buffer.events)} of ${count(buffer.max_events)}`, full(buffer.events, buffer.max_events)],
    ["Size", `${mebibytes(buffer.bytes)} of ${mebibytes(buffer.max_bytes)}`, full(buffer.bytes, buffer.max_bytes)],
    ...(buffer.parked ? [["Parked", `${count(buffer.parked)} records in ${count(buffer.parked_ranges)} ranges`], ["Eldest parked", span((now.ages || {}).parked)]] : []),
    ...(buffer.reads_past ? [["Reading", "goes on past what has no room", "warn"]] : []),
    ...(buffer.bounded_partitions ? [["At a bound", `${count(buffer.bounded_partitions)} partitions are not read`, "bad"]] : []),
  ]);
}

function refused(access) {
  const named = list(access.refused_campaigns).map((campaign) => {
    const seconds = (access.refused_seconds || {})[campaign];
    return seconds === undefined ? campaign : `${campaign} (${span(seconds)})`;
  });
  const more = access.refused_count - named.length;
  return named.join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
}

function inHand(now) {
  rows(
    "waiting",
    list(now.waiting).map((each) => [
      { ...text(each.campaign), heading: true },
      number(count(each.events)),
      number(each.parked ? count(each.parked) : ""),
      number(span(each.oldest_seconds)),
      text(WHY_WORDS[each.why] || words(each.why)),
      number(isNumber(each.next_try_in_seconds) ? span(each.next_try_in_seconds) : ""),
    ]),
    "Nothing waits.",
  );
  at("windows-open").textContent = isNumber(now.windows_open) ? count(now.windows_open) : "";
  rows(
    "windows",
    list(now.windows).map((each) => [
      { ...text(each.priority === "immediate" ? `${each.campaign} immediate` : each.campaign), heading: true },
      number(count(each.events)),
      { parts: [["in_window", each.events]], most: each.max_contacts, said: `${count(each.events)} of ${count(each.max_contacts)}`, className: "text bar-cell" },
      number(span(each.age_seconds)),
      number(span(each.closes_in_seconds)),
    ]),
    "No window is open.",
  );
  at("in-flight").textContent = isNumber((now.sends || {}).in_flight) ? count(now.sends.in_flight) : "";
  rows(
    "requests",
    list(now.requests).map((each) => [
      { ...text(each.campaign), heading: true },
      number(count(each.contacts)),
      number(count(each.attempt)),
      text(each.stage),
      number(span(each.age_seconds)),
      sendButton(each.send_id),
    ]),
    "Nothing is in flight.",
  );
  rows(
    "failures",
    list(now.failures).map((each) => [
      text(clock(each.at)),
      text(each.campaign),
      number(count(each.contacts), "opt"),
      graded(ANSWER_GRADES[each.answer] || "warn", `${words(each.answer)}${each.status ? ` ${each.status}` : ""}`),
      text(each.message || "", "free"),
      sendButton(each.send_id),
    ]),
    "No attempt has failed.",
  );
}

function totals(now) {
  const results = Object.entries(now.results || {}).sort((a, b) => b[1] - a[1]);
  pairs("results", results.map(([status, total]) => [words(status), count(total)]), "None yet.");
  const ages = now.ages || {};
  const repeats = now.deduplication || {};
  const kept = Object.entries(now.retention_seconds || {});
  pairs("process", [
    ["Member of the group", now.member || "not yet"],
    ["Records read", count((now.totals || {}).records_read)],
    ["Last commit", `${span(ages.commit)} ago`],
    ["Oldest checkpoint", `${span(ages.checkpoint)} ago`],
    ["Event IDs remembered", count(repeats.entries)],
    ["Repeats recognised for", span(repeats.effective_window_seconds)],
    ...kept.map(([topic, seconds]) => [`Kafka keeps ${topic}`, span(seconds)]),
  ]);
}
