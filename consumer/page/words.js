"use strict";
// How values are written, and how elements are made. Whatever the status holds goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = { good: "✓", warn: "!", bad: "✕" };
const NOTHING = "–";

const at = (id) => document.getElementById(id);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => (isNumber(value) ? value.toLocaleString("en") : NOTHING);
const mebibytes = (value) => (isNumber(value) ? `${(value / 1048576).toFixed(1)} MiB` : NOTHING);
const known = (value) => value ?? NOTHING;
const words = (name) => String(known(name)).replaceAll("_", " ");
const list = (value) => (Array.isArray(value) ? value : []);

// Seconds in at most two units: 5 ms, 0.4 s, 12 s, 3 min 5 s, 2 h 4 min.
function span(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds > 0 && seconds < 0.095) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${(Math.round(Math.max(0, seconds) * 10) / 10).toLocaleString("en")} s`;
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// A number with three digits that matter: 0.42, 4.2, 42, 4,200.
function rate(value) {
  if (!isNumber(value)) return NOTHING;
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}

function clock(instant) {
  const when = new Date(instant || NaN);
  if (Number.isNaN(when.getTime())) return NOTHING;
  const time = when.toLocaleTimeString("en-GB");
  return Date.now() - when.getTime() < 43200000 ? time : `${when.toLocaleDateString("en-CA")} ${time}`;
}

const since = (instant) => (Date.now() - new Date(instant || NaN).getTime()) / 1000;

function element(tag, content, className) {
  const made = document.createElement(tag);
  if (content instanceof Node) made.append(content);
  else if (content !== undefined && content !== null) made.textContent = content;
  if (className) made.className = className;
  return made;
}

function drawn(tag, attributes, content) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (content !== undefined) made.textContent = content;
  return made;
}

const graded = (grade, text) => ({ text: `${SIGNS[grade] || ""} ${text}`, className: `text ${grade}` });
const text = (value, className) => ({ text: value ?? "", className: className ? `text ${className}` : "text" });
const number = (value, className) => ({ text: value, className: className || "" });
const sendButton = (id) => ({ send: id, className: "text" });

// Rows are kept and rewritten only where something changed: a selection or a focus in a table outlives an update.
function rows(id, cells, otherwise) {
  const body = at(id);
  const shown = cells.length ? cells : [[{ text: otherwise, className: "text none", wide: true }]];
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach((wanted, index) => {
    const line = body.rows[index] || body.insertRow(-1);
    while (line.cells.length > wanted.length) line.deleteCell(-1);
    wanted.forEach((cell, place) => fill(line, place, cell));
  });
}

function fill(line, place, cell) {
  const tag = cell.heading ? "TH" : "TD";
  let made = line.cells[place];
  if (made && made.tagName !== tag) {
    const other = element(tag);
    made.replaceWith(other);
    made = other;
  }
  if (!made) {
    made = element(tag);
    line.append(made);
  }
  if (cell.heading) made.scope = "row";
  if (made.className !== cell.className) made.className = cell.className;
  made.colSpan = cell.wide ? 20 : 1;
  if (cell.parts) return drawParts(made, cell.parts, cell.most, cell.said);
  const said = cell.send || cell.text;
  const key = cell.send ? `send ${cell.send}` : String(cell.text);
  if (made.dataset.key === key) return undefined;
  made.dataset.key = key;
  if (!cell.send) made.textContent = cell.text;
  else {
    const button = element("button", `${said.slice(0, 8)}${said.length > 8 ? "…" : ""}`, "id");
    button.type = "button";
    button.dataset.send = said;
    button.title = `Find send ${said}`;
    made.replaceChildren(button);
  }
  return undefined;
}

function pairs(id, entries, otherwise) {
  const wanted = entries.length ? entries : [[otherwise, ""]];
  const key = JSON.stringify(wanted);
  const box = at(id);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(
    ...wanted.flatMap(([term, value, grade]) => [
      element("dt", term),
      element("dd", grade ? `${SIGNS[grade]} ${value}` : value, grade),
    ]),
  );
}
