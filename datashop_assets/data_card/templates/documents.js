"use strict";
// Browses the documents in #data (base64 of gzipped JSON, by column). Only rows in sight are in the page, so that
// 100,000 documents scroll as fast as ten. Texts become text nodes, never markup.
(async () => {
  const HEIGHT = 44; // of a row in pixels, as in the style sheet
  const NAMED = ["source", "split", "status"];
  const byId = (id) => document.getElementById(id);
  const form = byId("wanted"), list = byId("list"), one = byId("one");

  const { names, columns, documents } = await unpacked(byId("data"));
  const total = columns.id.length;
  // How far annotator and encoder are apart, where both have spoken and the encoder had not seen the label.
  const apart = Float64Array.from({ length: total }, (_, at) =>
    columns.label[at] === null || columns.unseen[at] === null ? -1 : Math.abs(columns.label[at] - columns.unseen[at]));
  const score = Float64Array.from(columns.score, (value) => (value === null ? -1 : value));
  let lowered = null; // texts in lower case, made at the first search
  let shown = [], selected = -1;

  const sheet = document.createElement("div");
  list.append(sheet);
  for (const name of NAMED) {
    names[name].forEach((label, code) => form.elements[name].append(new Option(label, String(code))));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", choose);
  form.elements.words.addEventListener("input", debounced(choose, 150));
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); select(Math.min(shown.length - 1, Math.max(0, selected + step))); }
  });
  addEventListener("resize", draw);
  choose();

  async function unpacked(element) {
    const packed = atob(element.textContent.trim());
    element.remove();
    const bytes = Uint8Array.from(packed, (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  function choose() {
    const tests = wanted();
    const found = [];
    for (let at = 0; at < total; at++) if (tests.every((test) => test(at))) found.push(at);
    shown = ordered(found, form.elements.order.value);
    sheet.style.height = `${shown.length * HEIGHT}px`;
    list.scrollTop = 0;
    const sampled = total < documents ? `, a sample of ${documents.toLocaleString()}` : "";
    byId("count").textContent = `${shown.length.toLocaleString()} of ${total.toLocaleString()} documents${sampled}`;
    selected = -1;
    if (shown.length) select(0); else { one.replaceChildren(); draw(); }
  }

  function wanted() {
    const value = (name) => form.elements[name].value;
    const tests = [];
    for (const name of NAMED) {
      if (value(name) !== "") { const code = Number(value(name)); tests.push((at) => columns[name][at] === code); }
    }
    if (value("kept") !== "") { const kept = value("kept") === "1"; tests.push((at) => columns.kept[at] === kept); }
    if (value("least") !== "") { const least = Number(value("least")); tests.push((at) => score[at] >= least); }
    if (value("most") !== "") { const most = Number(value("most")); tests.push((at) => score[at] <= most); }
    if (value("apart") !== "") { const least = Number(value("apart")); tests.push((at) => apart[at] >= least); }
    const words = value("words").trim().toLowerCase();
    if (words) {
      lowered ??= columns.text.map((text, at) => `${columns.id[at]}\n${text}`.toLowerCase());
      tests.push((at) => lowered[at].includes(words));
    }
    return tests;
  }

  function ordered(found, order) {
    if (order === "") return found;
    const by = order === "apart" ? apart : score, sign = order === "-score" ? 1 : -1;
    return found.sort((a, b) => sign * (by[a] - by[b]) || a - b);
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 5);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / HEIGHT) + 10);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(line(place));
    sheet.replaceChildren(...rows);
  }

  function line(place) {
    const at = shown[place];
    const row = element("div", "row");
    row.style.top = `${place * HEIGHT}px`;
    row.id = `row-${place}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(place === selected));
    const asked = columns.asked[at] === null ? "" : ` · annotator ${columns.asked[at].toFixed(2)}`;
    row.append(element("div", "", `${number(columns.score[at])}  ${columns.kept[at] ? "kept" : ""}  ${columns.id[at]}${asked}`));
    row.append(element("div", "muted", columns.text[at].slice(0, 160)));
    row.addEventListener("click", () => select(place));
    return row;
  }

  function select(place) {
    selected = place;
    const top = place * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    list.setAttribute("aria-activedescendant", `row-${place}`); // what a screen reader says is chosen
    show(shown[place]);
  }

  function show(at) {
    const facts = element("p", "muted", [
      names.source[columns.source[at]], names.split[columns.split[at]], columns.kept[at] ? "kept" : "not kept",
      `encoder ${number(columns.score[at])}`,
      columns.asked[at] === null ? "" : `annotator ${columns.asked[at].toFixed(2)}`,
      apart[at] < 0 ? "" : `encoder before it saw the label ${number(columns.unseen[at])}`,
      `annotation: ${names.status[columns.status[at]]}`,
    ].filter(Boolean).join(" · "));
    const read = columns.cut[at] ? "The document, as much of it as the annotator is shown" : "The document";
    const parts = [element("h3", "", columns.id[at]), facts, element("h3", "", read), element("pre", "", columns.text[at])];
    if (columns.reply[at]) parts.push(element("h3", "", "Annotator's reply"), element("pre", "", columns.reply[at]));
    one.replaceChildren(...parts);
    one.scrollTop = 0;
  }

  function element(kind, name, text) {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function number(value) { return value === null ? "n/a" : value.toFixed(3); }

  function debounced(call, wait) {
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(call, wait); };
  }
})();
