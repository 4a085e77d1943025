"use strict";
// The samples of a report: filter, sort, search, and one page of them at a time. The state is the part of the address
// behind #, so that any view is a link. All text goes in as text; the MathML was made of known elements only.

const form = document.getElementById("find"), list = document.getElementById("list");
const status = document.getElementById("status"), pager = document.getElementById("pager");
const PAGE = 20;

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), c => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null && child !== ""));
  return element;
}

const percent = value => (value * 100).toFixed(1) + " %";
const squeezed = text => text.toLowerCase().replace(/\s+/g, "");

// Choosing: each control is a test of a row, and a sort key is a number, the largest first.

const SHOW = {
  right: () => row => row.answers.every(a => a.correct),
  wrong: () => row => row.answers.every(a => !a.correct),
  lost: i => row => row.answers[0].correct && !row.answers[i].correct,
  won: i => row => !row.answers[0].correct && row.answers[i].correct,
};
const SORT = {
  distance: i => row => row.answers[i].edit_distance,
  growth: i => row => row.answers[i].edit_distance - row.answers[0].edit_distance,
  unsure: i => row => -(row.answers[i].confidence ?? 1),
  sure: i => row => row.answers[i].correct ? -1 : row.answers[i].confidence ?? -1,
  short: () => row => -row.reference.length,
  long: () => row => row.reference.length,
};

/** "lost-1" -> the entry "lost" of a table, for column 1; undefined for what the table does not have. */
function chosen(table, value) {
  const [kind, column] = value.split("-");
  return Object.hasOwn(table, kind) ? table[kind](Number(column)) : undefined;
}

function tests(state) {
  const of = (value, property) => {
    const [column, ...name] = value.split("-");
    return row => [row.answers[column]?.[property]].flat().includes(name.join("-"));
  };
  const text = squeezed(state.get("text") || "");
  return [
    chosen(SHOW, state.get("show") || ""),
    state.get("part") && (row => row.parts.includes(Number(state.get("part")))),
    state.get("failure") && of(state.get("failure"), "failure"),
    state.get("error") && of(state.get("error"), "classes"),
    text && (row => (row.text ??= squeezed([row.id, row.subset, row.reference, ...row.answers.map(a => a.latex + a.error)]
      .join("\n"))).includes(text)),
  ].filter(Boolean);
}

function select(rows, state) {
  const wanted = tests(state), found = [];
  rows.forEach((row, i) => { if (wanted.every(test => test(row))) found.push(i); });
  const key = chosen(SORT, state.get("sort") || "");
  return key ? found.sort((a, b) => key(rows[b]) - key(rows[a]) || a - b) : found;
}

// Drawing one sample.

function formula(mathml, latex) {
  if (!latex.trim()) return make("p", {class: "soft"}, "(nothing)");
  if (!mathml) return make("p", {class: "soft"}, "cannot be drawn");
  const shown = make("div", {class: "shown"});
  shown.innerHTML = mathml;
  return shown;
}

function source(latex, content) {
  const copy = make("button", {type: "button", class: "copy"}, "copy");
  copy.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(latex); copy.textContent = "copied"; }
    catch { getSelection().selectAllChildren(copy.previousSibling); copy.textContent = "press Ctrl-C"; }
    setTimeout(() => copy.textContent = "copy", 1500);
  });
  return make("div", {class: "copyable"}, make("code", {class: "source"}, ...content), copy);
}

/** The answer with what it lacks of the reference struck out, and what it has instead underlined. */
function marked(edits) {
  return edits.flatMap(([kind, expected, read]) => kind === "equal" ? [read] : [
    expected && make("del", {}, expected), read && make("ins", {}, read)].filter(Boolean));
}

function answer(name, i, judged, drawn) {
  const level = judged.level && judged.level !== "identical" && `equal at level “${judged.level}”`;
  const notes = [
    level, !judged.correct && `edit distance ${percent(judged.edit_distance)}`,
    judged.confidence !== null && `confidence ${percent(judged.confidence)}`, judged.classes.join(", "),
  ].filter(Boolean).join(", ");
  const head = make("p", {class: "name"}, make("span", {class: `key c${i % 8}`}), `${name}: `,
    make("span", {class: judged.correct ? "good" : "bad"}, judged.correct ? "✓ right" : `✗ ${judged.failure}`), notes && `, ${notes}`);
  if (judged.error) return make("div", {class: "answer"}, head, make("p", {class: "bad"}, judged.error));
  const text = drawn.edits.length ? marked(drawn.edits) : [judged.latex];
  return make("div", {class: "answer"}, head, formula(drawn.shown, judged.latex), judged.latex && source(judged.latex, text));
}

function image(row, drawn) {
  return make("div", {class: "picture"}, drawn.picture
    ? make("img", {src: drawn.picture, alt: `picture of ${row.id}`, loading: "lazy", decoding: "async"})
    : make("span", {class: "soft"}, "The picture cannot be opened."));
}

function card(row, drawn, which) {
  return make("article", {class: "item"},
    make("header", {}, make("h3", {}, row.id), make("span", {class: "soft"}, row.subset)),
    make("div", {class: "side"},
      make("div", {}, image(row, drawn), make("div", {class: "answer"}, make("p", {class: "name"}, "reference"),
        formula(drawn.reference, row.reference), row.reference && source(row.reference, [row.reference]))),
      make("div", {}, ...which.map(i => answer(columns[i], i, row.answers[i], drawn.answers[i])))));
}

// The page: what was unpacked, what was found of it, and which part of that is shown.

let columns, rows, block, found = [], page = 0, turn = 0;

/** What is drawn of the samples at these places; each block is unpacked once. */
async function drawn(places) {
  const needed = [...new Set(places.map(i => Math.floor(i / block)))];
  const blocks = new Map(await Promise.all(needed.map(async b => [b, await unpack(`block-${b}`)])));
  return places.map(i => blocks.get(Math.floor(i / block))[i % block]);
}

async function cards(places, which = [...columns.keys()]) {
  return (await drawn(places)).map((d, k) => card(rows[places[k]], d, which));
}

async function show(focus) {
  list.setAttribute("aria-busy", "true");
  const mine = ++turn, places = found.slice(page * PAGE, page * PAGE + PAGE), drawing = await cards(places);
  if (mine !== turn) return;  // Another choice came while these were unpacked.
  list.replaceChildren(...drawing);
  status.textContent = (found.length === rows.length ? `All ${rows.length} samples` : `${found.length} of ${rows.length} samples`)
    + (found.length > PAGE ? `; here ${page * PAGE + 1} to ${page * PAGE + places.length}` : "");
  pager.hidden = found.length <= PAGE;
  const [previous, next] = pager.children;
  previous.disabled = page === 0;
  next.disabled = (page + 1) * PAGE >= found.length;
  list.setAttribute("aria-busy", "false");
  if (focus) { status.focus({preventScroll: true}); status.scrollIntoView(); }
}

const state = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

function choose(focus = false) {
  found = select(rows, state());
  page = 0;
  return show(focus);
}

function changed() {
  history.replaceState(null, "", `#${state()}`);
  return choose();
}

/** Set the controls by a link within the page, or by the address it was opened with. */
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (!location.hash.includes("=")) return choose();
  for (const control of form.elements) {
    const value = wanted.get(control.name) || "";
    if (control.type === "radio") control.checked ||= control.defaultChecked || control.value === value;
    else if (control.name) control.value = value;
    if (control.selectedIndex === -1) control.selectedIndex = 0;  // What is not there is not asked for.
  }
  return choose(true);
}

function listen() {
  form.addEventListener("input", changed);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(changed));
  pager.addEventListener("click", event => {
    if (event.target.dataset.step) { page += Number(event.target.dataset.step); show(true); }
  });
  addEventListener("hashchange", follow);
}

async function main() {
  ({columns, rows, block} = await unpack("index"));
  listen();
  for (const place of document.querySelectorAll("[data-cards]"))
    place.replaceChildren(...await cards(JSON.parse(place.dataset.cards), JSON.parse(place.dataset.columns)));
  const small = [...document.querySelectorAll("[data-picture]")], which = small.map(place => Number(place.dataset.picture));
  (await drawn(which)).forEach((d, k) => small[k].replaceChildren(image(rows[which[k]], d)));
  await follow();
  document.body.dataset.ready = "yes";
}

main().catch(error => { status.textContent = `The samples cannot be shown by this browser (${error}).`; });
