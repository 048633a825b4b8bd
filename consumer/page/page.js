// Keeps the page live: server-sent events, and polling where they do not come. Says so where neither does.

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
const LISTEN_AGAIN_MS = 15000;

let heardAt = 0; // when a status came last
let isStreaming = false;

function show(now) {
  heardAt = Date.now();
  remember(now);
  at("page").classList.remove("stale");
  at("who").textContent = `group ${known(now.group)} · ${known(now.version)} · ${known(now.state)} · up ${span(now.uptime_seconds)}`;
  modes(now);
  verdict(now);
  figures(now);
  partitions(now);
  holding(now);
  inHand(now);
  totals(now);
  charts();
  live();
}

function live() {
  const seconds = (Date.now() - heardAt) / 1000;
  const isLate = !heardAt || seconds > PATIENCE_MS / 1000;
  at("live").className = isLate ? "bad" : isStreaming ? "good" : "warn";
  const how = isLate ? "no answer" : isStreaming ? "live" : "asking every 2 s";
  at("live").textContent = heardAt ? `${how} · ${new Date(heardAt).toLocaleTimeString("en-GB")}` : how;
  if (!isLate) return;
  const ago = heardAt ? `the figures below are from ${new Date(heardAt).toLocaleTimeString("en-GB")}` : "nothing is known yet";
  at("page").classList.add("stale");
  verdict({ verdict: { grade: "bad", sentence: `the service does not answer; ${ago}`, causes: [] } });
}

function listen() {
  const stream = new EventSource("status/stream");
  stream.onmessage = (event) => {
    isStreaming = true;
    show(JSON.parse(event.data));
  };
  stream.onerror = () => {
    isStreaming = false;
    if (stream.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(listen, LISTEN_AGAIN_MS);
  };
}

async function ask() {
  if (!isStreaming) {
    try {
      const answer = await fetch("status", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
      if (answer.status === 401) location.reload(); // the session is over: the form for the token comes
      if (answer.ok) {
        const now = await answer.json();
        if (!isStreaming) show(now);
      }
    } catch (error) {
      // it does not answer: `live` says so once its patience is over
    }
  }
  setTimeout(ask, EVERY_MS);
}

async function follow() {
  if (!document.hidden) await askSends();
  setTimeout(follow, SENDS_EVERY_MS);
}

const openedAt = Date.now();
setInterval(() => {
  if (isStreaming && Date.now() - heardAt > PATIENCE_MS) isStreaming = false; // open, and silent: ask
  if (heardAt || Date.now() - openedAt > PATIENCE_MS) live();
}, 1000);
document.addEventListener("visibilitychange", charts);
listen();
ask();
follow();
