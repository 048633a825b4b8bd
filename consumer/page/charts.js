// Fifteen minutes of samples, kept in the page, and what is drawn of them. The same colours stand for the same part everywhere.
// A page that was opened just now draws what it has over two minutes, and more as it comes.

const PARTS = ["backlog", "parked", "in_window", "queued", "in_flight", "blocked", "settling"];
const STEP_SECONDS = 5;
const KEPT_SECONDS = 900;
const LEAST_SECONDS = 120;
const GAP_SECONDS = 20; // nothing is drawn across a longer silence
const HEIGHT = 140, LEFT = 38, BOTTOM = 18, TOP = 8;
let WIDTH = 400; // as the page is laid out: what is drawn is never scaled

const samples = [];
let pointed = null; // the sample that a pointer or the arrow keys are at, in all charts

function remember(now) {
  const uptime = now.uptime_seconds;
  if (!isNumber(uptime)) return;
  const last = samples[samples.length - 1];
  if (last && uptime < last.uptime) samples.length = 0; // it was started anew: its counts began again
  const sample = {
    uptime,
    slot: Math.floor(uptime / STEP_SECONDS),
    at: Date.now(),
    totals: now.totals || {},
    acceptance: now.acceptance || null,
    parts: now.lag_parts || null,
  };
  if (samples.length > 1 && samples[samples.length - 1].slot === sample.slot) samples[samples.length - 1] = sample;
  else samples.push(sample);
  while (samples.length && uptime - samples[0].uptime > KEPT_SECONDS + STEP_SECONDS) samples.shift();
}

// The sample that is at least so many seconds older than the one at `index`.
function before(index, seconds) {
  for (let other = index - 1; other >= 0; other -= 1) {
    if (samples[index].uptime - samples[other].uptime >= seconds) return samples[other];
  }
  return index > 0 ? samples[0] : null;
}

function perSecond(index, name, seconds) {
  const older = index >= 0 ? before(index, seconds) : null;
  if (!older || !isNumber(samples[index].totals[name]) || !isNumber(older.totals[name])) return null;
  return Math.max(0, samples[index].totals[name] - older.totals[name]) / (samples[index].uptime - older.uptime || 1);
}

// A quantile of what was accepted in the last so many seconds, from the buckets' counts; null where nothing was.
function quantile(index, priority, share, seconds) {
  const older = index >= 0 ? before(index, seconds) : null;
  const newer = index >= 0 ? samples[index].acceptance : null;
  if (!older || !older.acceptance || !newer) return null;
  const counts = list(newer[priority]).map((total, bucket) => total - (list(older.acceptance[priority])[bucket] || 0));
  const all = counts.reduce((sum, each) => sum + each, 0);
  if (all <= 0) return null;
  let below = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    if (counts[bucket] > 0 && below + counts[bucket] >= share * all) {
      const low = bucket ? newer.bounds[bucket - 1] : 0;
      const high = bucket < newer.bounds.length ? newer.bounds[bucket] : low;
      return low + (high - low) * ((share * all - below) / counts[bucket]);
    }
    below += counts[bucket];
  }
  return null;
}

// One bar of parts, beside others of the same scale. `most` is what fills the whole width.
function drawParts(cell, parts, most, said) {
  const key = JSON.stringify([parts, most]);
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  let bar = cell.querySelector("svg");
  if (!bar) {
    bar = drawn("svg", { class: "bar-svg", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img" });
    bar.append(drawn("rect", { class: "track", x: 0, y: 0, width: 1000, height: 10 }));
    cell.replaceChildren(bar);
  }
  bar.setAttribute("aria-label", said || "nothing");
  let x = 0;
  const wanted = parts.filter(([, value]) => value > 0);
  while (bar.children.length > wanted.length + 1) bar.lastChild.remove();
  wanted.forEach(([name, value], index) => {
    const width = Math.max(3, (1000 * value) / (most || 1));
    const shape = bar.children[index + 1] || bar.appendChild(drawn("rect", { y: 0, height: 10 }));
    shape.setAttribute("class", name);
    shape.setAttribute("x", x);
    shape.setAttribute("width", Math.max(2, width - 2));
    x += width;
  });
}

function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value) * power;
}

const short = (value) => {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(2)}M`;
  return value >= 1000 ? `${+(value / 1000).toPrecision(2)}k` : `${+value.toPrecision(2)}`;
};

function drawnSeconds() {
  const known = samples[samples.length - 1].uptime - samples[0].uptime;
  return Math.min(KEPT_SECONDS, Math.max(LEAST_SECONDS, Math.ceil(known / 30) * 30));
}

function x(sample, newest) {
  return LEFT + (WIDTH - LEFT) * (1 - (newest.uptime - sample.uptime) / drawnSeconds());
}

const y = (value, most) => TOP + (HEIGHT - BOTTOM - TOP) * (1 - Math.min(1, value / most));

// Runs of neighbours that all have a value: nothing is drawn where nothing is known.
function runs(values) {
  const found = [];
  let run = [];
  samples.forEach((sample, index) => {
    const broken = index > 0 && sample.uptime - samples[index - 1].uptime > GAP_SECONDS;
    if (run.length && (values[index] === null || broken)) {
      found.push(run);
      run = [];
    }
    if (values[index] !== null) run.push(index);
  });
  if (run.length) found.push(run);
  return found;
}

function frame(id, label, most) {
  const box = at(id);
  let svg = box.firstChild;
  if (!svg) {
    svg = drawn("svg", { class: "chart", role: "img", tabindex: 0 });
    svg.addEventListener("pointermove", (event) => point(svg, event));
    svg.addEventListener("pointerleave", () => aim(null));
    svg.addEventListener("blur", () => aim(null));
    svg.addEventListener("keydown", step);
    box.append(svg);
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-label", label);
  const lines = [0, 0.5, 1].flatMap((share) => [
    drawn("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(share * most, most), y2: y(share * most, most) }),
    drawn("text", { x: LEFT - 6, y: y(share * most, most) + 3.5, "text-anchor": "end" }, short(share * most)),
  ]);
  const times = [[`${span(drawnSeconds())} ago`, LEFT, "start"], ["now", WIDTH, "end"]].map(([said, place, anchor]) =>
    drawn("text", { x: place, y: HEIGHT - 3, "text-anchor": anchor }, said),
  );
  svg.replaceChildren(...lines, ...times);
  return svg;
}

function crosshair(svg) {
  const newest = samples[samples.length - 1];
  if (pointed === null || !samples[pointed]) return;
  const place = x(samples[pointed], newest);
  svg.append(drawn("line", { class: "cross", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }));
}

function legend(id, entries) {
  const shown = entries.map(([name, label, value, isLine]) => {
    const mark = drawn("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" });
    mark.append(
      isLine
        ? drawn("line", { class: `key ${name}`, x1: 0, x2: 10, y1: 5, y2: 5 })
        : drawn("rect", { class: name, x: 0, y: 0, width: 10, height: 10 }),
    );
    const made = element("li", mark);
    made.append(`${label} `, element("b", value));
    return made;
  });
  const ago = pointed !== null && samples[pointed] ? samples[samples.length - 1].uptime - samples[pointed].uptime : null;
  if (ago !== null) shown.push(element("li", `${span(ago)} ago`, "quiet"));
  at(id).replaceChildren(...shown);
}

function path(run, values, newest, most) {
  return run.map((index, place) => `${place ? "L" : "M"}${x(samples[index], newest).toFixed(1)} ${y(values[index], most).toFixed(1)}`).join("");
}

function lineChart(name, series, unit, wash) {
  const newest = samples[samples.length - 1];
  const most = niceCeiling(1.05 * Math.max(0, ...series.flatMap(([, , values]) => values.filter((value) => value !== null))));
  const shown = pointed !== null && samples[pointed] ? pointed : samples.length - 1;
  const said = series.map(([, label, values]) => `${label} ${values[shown] === null ? "nothing" : unit(values[shown])}`);
  const svg = frame(`${name}-chart`, said.join(", "), most);
  for (const [part, , values] of series) {
    for (const run of runs(values)) {
      const line = path(run, values, newest, most);
      if (wash && run.length > 1) {
        const [first, last] = [samples[run[0]], samples[run[run.length - 1]]];
        const base = HEIGHT - BOTTOM;
        svg.append(drawn("path", { class: `wash ${part}`, d: `${line}L${x(last, newest)} ${base}L${x(first, newest)} ${base}Z` }));
      }
      svg.append(drawn("path", { class: `line ${part}`, d: run.length > 1 ? line : `${line}h.01` }));
    }
  }
  crosshair(svg);
  legend(`${name}-legend`, series.map(([part, label, values]) => [part, label, values[shown] === null ? NOTHING : unit(values[shown]), true]));
}

function partsChart() {
  const newest = samples[samples.length - 1];
  const sums = samples.map((sample) => (sample.parts ? PARTS.reduce((sum, part) => sum + (sample.parts[part] || 0), 0) : null));
  const most = niceCeiling(1.05 * Math.max(0, ...sums.filter((sum) => sum !== null)));
  const shown = pointed !== null && samples[pointed] ? pointed : samples.length - 1;
  const here = (samples[shown] && samples[shown].parts) || {};
  const there = PARTS.filter((part) => samples.some((sample) => sample.parts && sample.parts[part] > 0));
  const svg = frame("parts-chart", there.map((part) => `${words(part)} ${count(here[part])}`).join(", ") || "no lag", most);
  for (const run of runs(sums)) {
    if (run.length < 2) continue;
    const floor = new Map(run.map((index) => [index, 0]));
    for (const part of there) {
      const low = run.map((index) => [x(samples[index], newest), y(floor.get(index), most)]);
      for (const index of run) floor.set(index, floor.get(index) + (samples[index].parts[part] || 0));
      const high = run.map((index) => [x(samples[index], newest), y(floor.get(index), most)]);
      const points = [...high, ...low.reverse()].map((place) => place.map((each) => each.toFixed(1)).join(" "));
      svg.append(drawn("path", { class: part, d: `M${points.join("L")}Z` }));
    }
  }
  crosshair(svg);
  legend("parts-legend", there.length ? there.map((part) => [part, words(part), count(here[part])]) : [["track", "no lag", ""]]);
}

function charts() {
  if (!samples.length || document.hidden) return;
  WIDTH = at("rate-chart").clientWidth || WIDTH;
  const every = (values) => samples.map((_, index) => values(index));
  lineChart(
    "delay",
    [
      ["in_window", "95 % normal", every((index) => quantile(index, "normal", 0.95, 15))],
      ["in_flight", "median", every((index) => quantile(index, "normal", 0.5, 15))],
      ["blocked", "95 % immediate", every((index) => quantile(index, "immediate", 0.95, 15))],
    ],
    span,
  );
  lineChart("rate", [["in_window", "sends", every((index) => perSecond(index, "requests", STEP_SECONDS))]], (value) => `${rate(value)} /s`, true);
  partsChart();
}

function aim(index) {
  if (index === pointed) return;
  pointed = index;
  charts();
}

function point(svg, event) {
  const box = svg.getBoundingClientRect();
  const newest = samples[samples.length - 1];
  if (!newest || !box.width) return;
  const place = ((event.clientX - box.left) * WIDTH) / box.width;
  let nearest = 0;
  samples.forEach((sample, index) => {
    if (Math.abs(x(sample, newest) - place) < Math.abs(x(samples[nearest], newest) - place)) nearest = index;
  });
  aim(nearest);
}

function step(event) {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  event.preventDefault();
  const from = pointed === null ? samples.length - 1 : pointed;
  aim(Math.max(0, Math.min(samples.length - 1, from + (event.key === "ArrowLeft" ? -1 : 1))));
}
