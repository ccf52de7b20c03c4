// The part of report.html that shows single sessions.
//
// What comes in: the sessions as seglab.report.embedding wrote them, in the script element
// `session-data`. What the page shows: a list of the sessions that match the filters, of which only
// the rows in view exist; and the three layers of the chosen session as an SVG drawing over time and
// over bytes. Three values change: `matching` (indices of the sessions in the list), `current` (the
// index of the chosen one) and `view` (its decoded layers and its drawing). A filter changes the
// first, a choice in the list the second, and `draw` makes the third.
//
// Text from a run becomes text nodes and attributes, never markup. Nothing is loaded. It is one file
// because the page's policy allows one script, by its hash.

"use strict";
(() => {
  const source = document.getElementById("session-data");
  const explorer = document.getElementById("explorer");
  if (!source || !explorer) return;

  // ---------------------------------------------------------------- small helpers

  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  /** An element with attributes and children; strings become text, never markup. */
  const make = (namespace) => (tag, attributes = {}, ...children) => {
    const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const html = make(null);
  const svg = make(SVG);

  const ms = (us) => `${(us / 1000).toFixed(3)} ms`;
  const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // ---------------------------------------------------------------- the data

  const { strings, sessions: rows } = JSON.parse(source.textContent);

  const FIELD = {
    id: 0, scenario: 1, sender: 2, network: 3, verdict: 4, facts: 5, error: 6, variant: 7,
    mtu: 8, mss: 9, total: 10, writes: 11, segments: 12, reads: 13, changes: 14, captures: 15,
  };

  /** The sizes in an array of numbers: every `step`-th number, from the one at `first`. */
  const sizes = (numbers, first, step) => {
    const found = [];
    for (let i = first; i < numbers.length; i += step) found.push(numbers[i]);
    return found.join(" ");
  };
  const readSizes = (row) => sizes(row[FIELD.reads], 2, 3);
  const segmentSizes = (row) => sizes(row[FIELD.segments], 3, 5);

  /** Whether a segment was lost or sent again. */
  const troubled = (row) => {
    const numbers = row[FIELD.segments];
    for (let i = 0; i < numbers.length; i += 5) {
      if (numbers[i + 1] < 0 || numbers[i + 4] & 6) return true;
    }
    return false;
  };

  const decodeCalls = (kind, numbers) => {
    const found = [];
    let t = 0, end = 0;
    for (let i = 0; i < numbers.length; i += 3) {
      t += numbers[i];
      const start = end + numbers[i + 1];
      end = start + numbers[i + 2];
      found.push({ kind, index: found.length, t, start, end });
    }
    return found;
  };

  const decodeSegments = (numbers) => {
    const found = [];
    let t = 0, end = 0;
    for (let i = 0; i < numbers.length; i += 5) {
      t += numbers[i];
      const way = numbers[i + 1], start = end + numbers[i + 2], flags = numbers[i + 4];
      end = start + numbers[i + 3];
      found.push({
        kind: "segment", index: found.length, t, start, end,
        arrived: way < 0 ? null : t + way,
        psh: Boolean(flags & 1), again: Boolean(flags & 2), dropped: Boolean(flags & 4),
        reason: flags >> 3 ? strings[(flags >> 3) - 1] : "",
      });
    }
    return found;
  };

  /** A row as a session with its three layers. */
  const decode = (row) => {
    const session = {
      id: row[FIELD.id], total: row[FIELD.total], mss: row[FIELD.mss], mtu: row[FIELD.mtu],
      writes: decodeCalls("write", row[FIELD.writes]),
      segments: decodeSegments(row[FIELD.segments]),
      reads: decodeCalls("read", row[FIELD.reads]),
      changes: [],
    };
    for (let i = 0; i < row[FIELD.changes].length; i += 2) {
      session.changes.push({ t: row[FIELD.changes][i], mtu: row[FIELD.changes][i + 1] });
    }
    return shortened(session);
  };

  const LANES = ["writes", "segments", "reads"], SHOWN_AT_MOST = 1000;

  /** The session up to the byte that the longest layers reach with as many items as can be shown. */
  const shortened = (session) => {
    session.counts = Object.fromEntries(LANES.map((lane) => [lane, session[lane].length]));
    session.shown = session.total;
    for (const lane of LANES) {
      if (session[lane].length > SHOWN_AT_MOST) {
        session.shown = Math.min(session.shown, session[lane][SHOWN_AT_MOST - 1].end);
      }
    }
    if (session.shown < session.total) {
      for (const lane of LANES) {
        session[lane] = session[lane].filter((i) => i.start < session.shown).slice(0, SHOWN_AT_MOST);
      }
    }
    return session;
  };

  const overlapping = (items, span) =>
    items.filter((item) => item.start < span.end && span.start < item.end);

  /** The stream by the segments in which each byte arrived first: first_arrived of core/trace.py. */
  const firstArrived = (segments) => {
    const pieces = [];
    const arrived = segments.filter((s) => s.arrived !== null);
    arrived.sort((a, b) => a.arrived - b.arrived);
    for (const s of arrived) {
      let gaps = [[s.start, s.end]];
      for (const { start, end } of pieces) {
        gaps = gaps.flatMap(([low, high]) =>
          [[low, Math.min(high, start)], [Math.max(low, end), high]].filter(([a, b]) => a < b));
      }
      for (const [start, end] of gaps) pieces.push({ start, end, segment: s });
    }
    return pieces.sort((a, b) => a.start - b.start);
  };

  // ---------------------------------------------------------------- the list, only what is visible

  const list = $("list"), spacer = $("rows"), count = $("count"), form = $("filters");
  const SPARE_ROWS = 6, LINE_CHARACTERS = 34;
  // An id that is longer than a line of the list, such as a survey's, has two.
  const tall = rows.some((row) => row[FIELD.id].length > LINE_CHARACTERS);
  const ROW_PX = tall ? 74 : 54;
  list.classList.toggle("tall", tall);
  let matching = [], current = -1, drawn = new Map();

  const option = (position) => {
    const row = rows[matching[position]];
    const reads = readSizes(row);
    const node = html("div", {
      role: "option", id: `option-${position}`, class: "row", "aria-setsize": matching.length,
      "aria-posinset": position + 1, "aria-selected": String(matching[position] === current),
    },
      html("span", { class: "row-id" }, html("bdi", { dir: "ltr" }, row[FIELD.id])),
      html("span", { class: "row-sizes" }, reads ? `reads ${reads}` : strings[row[FIELD.error]] || "nothing was read"),
    );
    const verdict = strings[row[FIELD.verdict]];
    const kind = verdict === "failed" ? "no" : verdict === "as published" ? "yes" : "";
    if (kind) node.append(html("span", { class: `badge ${kind}` }, verdict));
    node.style.transform = `translateY(${position * ROW_PX}px)`;
    node.dataset.position = position;
    return node;
  };

  const renderList = () => {
    const first = Math.max(Math.floor(list.scrollTop / ROW_PX) - SPARE_ROWS, 0);
    const last = Math.min(
      Math.ceil((list.scrollTop + list.clientHeight) / ROW_PX) + SPARE_ROWS, matching.length);
    for (const [position, node] of drawn) {
      if (position < first || position >= last) {
        node.remove();
        drawn.delete(position);
      }
    }
    for (let position = first; position < last; position += 1) {
      if (!drawn.has(position)) {
        const node = option(position);
        drawn.set(position, node);
        spacer.append(node);
      }
    }
    const at = matching.indexOf(current);
    if (drawn.has(at)) list.setAttribute("aria-activedescendant", `option-${at}`);
    else list.removeAttribute("aria-activedescendant");
  };

  const rebuildList = () => {
    for (const node of drawn.values()) node.remove();
    drawn = new Map();
    spacer.style.height = `${matching.length * ROW_PX}px`;
    renderList();
  };

  const filter = () => {
    const wanted = {};
    for (const name of ["scenario", "sender", "network", "verdict"]) {
      const value = form.elements[name].value;
      if (value !== "") wanted[name] = Number(value);
    }
    const text = form.elements.text.value.trim().replace(/[\s,]+/g, " ");
    const padded = ` ${text} `;
    const onlyTroubled = form.elements.troubled.checked;
    matching = [];
    rows.forEach((row, index) => {
      for (const name in wanted) if (row[FIELD[name]] !== wanted[name]) return;
      if (onlyTroubled && !troubled(row)) return;
      if (text && !(/^[\d ]+$/.test(text)
        ? ` ${readSizes(row)} `.includes(padded) || ` ${segmentSizes(row)} `.includes(padded)
        : row[FIELD.id].includes(text))) return;
      matching.push(index);
    });
    count.textContent = `${matching.length} of ${plural(rows.length, "session")}`;
    list.scrollTop = 0;
    rebuildList();
    if (matching.length && !matching.includes(current)) select(0);
    else reveal(matching.indexOf(current));
  };

  const reveal = (position) => {
    if (position < 0) return;
    const top = position * ROW_PX;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_PX > list.scrollTop + list.clientHeight) {
      list.scrollTop = top + ROW_PX - list.clientHeight;
    }
    renderList();
  };

  const select = (position) => {
    if (position < 0 || position >= matching.length) return;
    current = matching[position];
    for (const [at, node] of drawn) node.setAttribute("aria-selected", String(at === position));
    reveal(position);
    show(rows[current]);
  };

  list.addEventListener("scroll", () => requestAnimationFrame(renderList), { passive: true });
  list.addEventListener("click", (event) => {
    const node = event.target.closest(".row");
    if (node) select(Number(node.dataset.position));
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(Math.floor(list.clientHeight / ROW_PX) - 1, 1);
    const at = matching.indexOf(current);
    const to = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page,
      Home: 0, End: matching.length - 1,
    }[event.key];
    if (to === undefined || !matching.length) return;
    event.preventDefault();
    select(clamp(to, 0, matching.length - 1));
  });

  // ---------------------------------------------------------------- the time axis
  // This follows lab/seglab/plots/clock.py: long idle spans become breaks, and all other spans
  // have the same scale.

  const clock = (instants) => {
    const times = [...new Set(instants)].sort((a, b) => a - b);
    if (!times.length) times.push(0);
    const gaps = times.slice(1).map((t, i) => t - times[i]);
    const rising = [...gaps].sort((a, b) => a - b);
    let before = 0, limit = null;
    for (const gap of rising) {
      if (before && gap > Math.max(before * 0.5, 1000)) { limit = gap; break; }
      before += gap;
    }
    if (limit !== null) {
      const long = rising.filter((gap) => gap >= limit);
      if (long.length > 4) {
        const last = long.slice(-5);
        const at = last.findIndex((gap, i) => i && gap >= 2 * last[i - 1]);
        limit = at < 0 ? null : last[at];
      }
    }
    const groups = [[times[0]]];
    times.slice(1).forEach((t, i) => {
      if (limit !== null && gaps[i] >= limit) groups.push([]);
      groups[groups.length - 1].push(t);
    });
    const shown = groups.reduce((sum, g) => sum + g[g.length - 1] - g[0], 0);
    const margin = Math.max(shown * 0.06 / groups.length, 20);
    const lengths = groups.map((g) => g[g.length - 1] - g[0] + 2 * margin);
    const BREAK = 0.12;
    const scale = (1 - BREAK * (groups.length - 1)) / lengths.reduce((a, b) => a + b);
    const knots = [], breaks = [], spans = [];
    let x = 0;
    groups.forEach((g, i) => {
      if (i) {
        const lasts = g[0] - groups[i - 1][groups[i - 1].length - 1];
        breaks.push({ left: x, right: x + BREAK, lasts });
        x += BREAK;
      }
      const from = g[0] - margin, to = g[g.length - 1] + margin;
      knots.push([from, x], [to, x + lengths[i] * scale]);
      spans.push([from, to]);
      x += lengths[i] * scale;
    });
    const place = (t) => {
      if (t <= knots[0][0]) return 0;
      for (let i = 1; i < knots.length; i += 1) {
        const [t0, x0] = knots[i - 1], [t1, x1] = knots[i];
        if (t <= t1) return x0 + (x1 - x0) * (t - t0) / (t1 - t0);
      }
      return 1;
    };
    return { place, breaks, spans, shown };
  };

  const roundStep = (least) => {
    const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-3)));
    return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= least);
  };

  const ticks = (spans, wanted) => {
    const step = roundStep(spans.reduce((sum, [a, b]) => sum + b - a, 0) / wanted);
    const found = [];
    for (const [from, to] of spans) {
      for (let fine = step, tries = 0; tries < 6; fine /= 10, tries += 1) {
        const first = Math.ceil(Math.max(from, 0) / fine);
        const here = [];
        for (let n = first; n * fine < to; n += 1) here.push(n * fine);
        if (here.length) { found.push(...(fine === step ? here : here.slice(0, 1))); break; }
      }
    }
    return found;
  };

  /** Places near the given rising ones, from low to high, and at least `apart` from each other. */
  const spread = (places, apart, low, high) => {
    const runs = [];
    places.forEach((place, i) => {
      runs.push([place - i * apart, 1]);
      while (runs.length > 1 && runs[runs.length - 2][0] > runs[runs.length - 1][0]) {
        const [mean, weight] = runs.pop(), last = runs[runs.length - 1];
        last[0] = (last[0] * last[1] + mean * weight) / (last[1] + weight);
        last[1] += weight;
      }
    });
    const most = Math.max(high - apart / 2 - (places.length - 1) * apart, low + apart / 2);
    return runs.flatMap(([base, weight]) => Array(weight).fill(base))
      .map((base, i) => clamp(base, low + apart / 2, most) + i * apart);
  };

  // ---------------------------------------------------------------- the three layers

  const stage = $("stage"), panel = $("item");
  const Y = {
    breaks: 12, write: 38, client: 76, lost: 146, server: 216, read: 254, change: 284, axis: 298,
    title: 338, strips: [350, 384, 418], bytes: 462, bottom: 474,
  };
  const BOX = 24, STRIP = 26, LABELS_AT_MOST = 24;
  let view = null, pinned = null;

  const colour = (index) => (index < 0 ? "none" : index % 6);

  /** The parts of a span that belong to one write each. */
  const shares = (span, writes) => {
    const found = overlapping(writes, span).map((w) => ({
      start: Math.max(w.start, span.start), end: Math.min(w.end, span.end), write: w.index,
    }));
    return found.length ? found : [{ start: span.start, end: span.end, write: -1 }];
  };

  const sizeLabel = (x, y, text, parts) => {
    const label = svg("text", { x, y: y + 4, class: "size" }, text);
    if (parts.length === 1) {
      label.classList.add(`on-${colour(parts[0].write)}`);
      return [label];
    }
    const width = text.length * 7.4 + 6;
    return [svg("rect", { x: x - width / 2, y: y - 8, width, height: 16, rx: 3, class: "pill" }), label];
  };

  const box = (left, top, width, height, span, writes, withText) => {
    const parts = shares(span, writes), length = span.end - span.start || 1;
    const nodes = parts.map((part) => svg("rect", {
      x: left + (part.start - span.start) / length * width, y: top, height,
      width: Math.max((part.end - part.start) / length * width, 0.5),
      class: `fill-${colour(part.write)}`,
    }));
    nodes.push(svg("rect", { x: left, y: top, width: Math.max(width, 0.5), height, class: "edge" }));
    if (withText) nodes.push(...sizeLabel(left + width / 2, top + height / 2, String(span.end - span.start), parts));
    return nodes;
  };

  const describe = (item, session) => {
    const lane = { write: "writes", segment: "segments", read: "reads" }[item.kind];
    const of = `${item.kind} ${item.index + 1} of ${session.counts[lane]}`;
    const names = (items) => items.length
      ? items.map((i) => `${i.kind} ${i.index + 1} (${i.start}:${i.end})`).join(", ") : "none";
    const facts = [["bytes", `${item.start}:${item.end} (${item.end - item.start})`]];
    if (item.kind === "segment") {
      facts.push(
        ["sent", ms(item.t)],
        ["arrived", item.arrived === null ? "never" : ms(item.arrived)],
        ["on the way", item.arrived === null ? `lost${item.reason ? `: ${item.reason}` : ""}` : ms(item.arrived - item.t)],
        ["written by", names(overlapping(session.writes, item))],
        ["read by", names(overlapping(session.reads, item))],
        ["flags", [item.psh ? "PSH" : "", item.again ? "retransmission" : "",
          item.end - item.start === session.mss ? "a full MSS" : ""].filter(Boolean).join(", ") || "none"],
      );
    } else {
      facts.push(["at", ms(item.t)]);
      facts.push(["segments", names(overlapping(session.segments, item))]);
      if (item.kind === "write") facts.push(["read by", names(overlapping(session.reads, item))]);
      else facts.push(["written by", names(overlapping(session.writes, item))]);
    }
    return { title: of[0].toUpperCase() + of.slice(1), facts };
  };

  const fillPanel = (item) => {
    panel.replaceChildren();
    if (!item) {
      panel.append(html("p", { class: "quiet" },
        "Point at, tap or focus a write, a segment or a read: its bytes, its times, and what it belongs to appear here."));
      return;
    }
    const { title, facts } = describe(item, view.session);
    panel.append(html("h4", {}, title));
    panel.append(html("dl", {}, ...facts.map(([name, value]) =>
      html("div", {}, html("dt", {}, name), html("dd", {}, value)))));
  };

  const mark = (item, ...classes) => {
    item.node.classList.add(...classes);
    item.size?.classList.add(...classes);
  };

  const highlight = (item) => {
    if (item === view.shown) return;
    view.shown = item;
    for (const node of view.root.querySelectorAll(".on, .chosen")) node.classList.remove("on", "chosen");
    view.root.classList.toggle("active", Boolean(item));
    view.band.setAttribute("visibility", item ? "visible" : "hidden");
    if (item) {
      for (const lane of ["writes", "segments", "reads"]) {
        for (const other of overlapping(view.session[lane], item)) {
          if (other.kind !== item.kind) mark(other, "on");
        }
      }
      mark(item, "on", "chosen");
      view.band.setAttribute("x", view.byte(item.start));
      view.band.setAttribute("width", Math.max(view.byte(item.end) - view.byte(item.start), 1));
    }
    fillPanel(item);
  };

  const pin = (item) => {
    if (pinned) pinned.node.setAttribute("aria-selected", "false");
    pinned = item;
    if (item) {
      item.node.setAttribute("aria-selected", "true");
      for (const other of view.all) other.node.setAttribute("tabindex", other === item ? "0" : "-1");
    }
    highlight(item);
  };

  /** The item that is nearest to a point of the drawing. */
  const nearest = (x, y) => {
    const { session, at } = view;
    const closest = (items, distance) => items.reduce(
      ([best, least], item) => {
        const d = distance(item);
        return d < least ? [item, d] : [best, least];
      }, [null, Infinity])[0];
    if (y < (Y.client + Y.write) / 2) return closest(session.writes, (i) => Math.abs(i.x - x));
    if (y < Y.client) return closest(session.writes, (i) => Math.abs(at(i.t) - x));
    if (y <= Y.server) {
      return closest(session.segments, (s) => {
        const toY = s.arrived === null ? Y.lost : Y.server;
        if (y > toY + 12) return Infinity;
        const share = clamp((y - Y.client) / (toY - Y.client), 0, 1);
        return Math.abs(s.x + (s.toX - s.x) * share - x);
      });
    }
    if (y < Y.axis) return closest(session.reads, (i) => Math.abs(i.x - x));
    const row = Y.strips.findIndex((top) => y >= top - 4 && y < top + STRIP + 4);
    const items = [session.writes, view.carried, session.reads][row] ?? [];
    const found = items.find((i) => x >= view.byte(i.start) && x < view.byte(i.end));
    return found?.segment ?? found ?? null;
  };

  const drawCalls = (session, items, lineY, boxY, width, left) => {
    const boxes = items.length * 50 <= width;
    const instants = items.map((item) => view.at(item.t));
    const places = boxes ? spread(instants, 50, left, left + width) : instants;
    items.forEach((item, i) => {
      item.x = places[i];
      const near = boxY < lineY ? boxY + BOX / 2 : boxY - BOX / 2;
      item.node.append(svg("line", {
        x1: instants[i], y1: lineY, x2: places[i], y2: near, class: boxes ? "tie" : "tick" }));
      if (boxes) {
        item.node.append(svg("circle", { cx: instants[i], cy: lineY, r: 2.6, class: "dot" }));
        item.node.append(...box(places[i] - 23, boxY - BOX / 2, 46, BOX, item, session.writes, true));
      }
    });
  };

  /** The sizes stand above the lines of all segments, so that no line runs through one. */
  const drawSegments = (session, labelled, right) => {
    const above = svg("g", { "aria-hidden": "true" });
    const steps = clamp(session.segments.length, 2, 9);
    session.segments.forEach((s, i) => {
      s.x = view.at(s.t);
      s.toX = s.arrived === null ? Math.min(s.x + 26, right) : view.at(s.arrived);
      const toY = s.arrived === null ? Y.lost : Y.server;
      const parts = shares(s, session.writes);
      const style = `line stroke-${colour(parts[0].write)}${s.again ? " again" : ""}`;
      s.node.append(svg("line", { x1: s.x, y1: Y.client, x2: s.toX, y2: toY, class: style }));
      if (s.arrived === null) {
        s.node.append(svg("path", { d: `M${s.toX - 5} ${toY - 5}l10 10m0 -10l-10 10`, class: "lost" }));
      }
      if (labelled) {
        const share = s.arrived === null ? 0.6 : 0.1 + 0.8 * (i % steps) / (steps - 1);
        const x = s.x + (s.toX - s.x) * share, y = Y.client + (toY - Y.client) * share;
        const text = String(s.end - s.start), width = text.length * 7 + 8;
        s.size = svg("g", { class: "above" });
        s.size.append(
          svg("rect", { x: x - width / 2, y: y - 8, width, height: 16, rx: 4, class: `label stroke-${colour(parts[0].write)}` }),
          svg("text", { x, y: y + 4, class: "size plain" }, text));
        above.append(s.size);
      }
    });
    view.root.append(above);
  };

  const drawStrips = (session) => {
    [session.writes, view.carried, session.reads].forEach((items, row) => {
      for (const item of items) {
        const left = view.byte(item.start), width = view.byte(item.end) - left;
        const text = String(item.end - item.start);
        const { node } = item.segment ?? item;
        node.append(...box(left, Y.strips[row], width, STRIP, item, session.writes, text.length * 7.4 + 4 < width));
      }
    });
  };

  const drawAxes = (session, time, left, width) => {
    const nodes = [];
    for (const pause of time.breaks) {
      const x = left + pause.left * width, wide = (pause.right - pause.left) * width;
      nodes.push(svg("rect", { x, y: 0, width: wide, height: Y.axis, class: "pause" }));
      nodes.push(svg("text", { x: x + wide / 2, y: Y.breaks, class: "quiet middle" }, `${(pause.lasts / 1000).toFixed(1)} ms`));
    }
    for (const [y, name] of [[Y.client, "client"], [Y.server, "server"]]) {
      nodes.push(svg("line", { x1: left, y1: y, x2: left + width, y2: y, class: "host" }));
      nodes.push(svg("text", { x: left - 6, y: y + 4, class: "quiet end" }, name));
    }
    const lanes = [[Y.write, "writes"], [(Y.client + Y.server) / 2, "wire"], [Y.read, "reads"],
      ...["written", "carried", "read"].map((name, i) => [Y.strips[i] + STRIP / 2, name])];
    for (const [y, name] of lanes) nodes.push(svg("text", { x: left - 6, y: y + 4, class: "lane end" }, name));
    let free = -Infinity;
    for (const t of ticks(time.spans, width > 520 ? 7 : 4)) {
      const x = view.at(t), text = String(Number((t / 1000).toPrecision(6)));
      if (x < free) continue;
      free = x + text.length * 7 + 14;
      nodes.push(svg("line", { x1: x, y1: Y.axis, x2: x, y2: Y.axis + 4, class: "host" }));
      nodes.push(svg("text", { x, y: Y.axis + 17, class: "quiet middle" }, text));
    }
    nodes.push(svg("text", { x: left + width, y: Y.title - 8, class: "quiet end" }, `ms since the first write${time.breaks.length ? "; idle spans are shortened" : ""}`));
    free = -Infinity;
    for (const s of [{ end: 0 }, ...view.carried]) {
      const x = view.byte(s.end), text = String(s.end);
      nodes.push(svg("line", { x1: x, y1: Y.strips[0] - 4, x2: x, y2: Y.bytes - 14, class: "boundary" }));
      if (x < free) continue;
      free = x + text.length * 7 + 14;
      nodes.push(svg("text", { x, y: Y.bytes, class: "quiet middle" }, text));
    }
    return nodes;
  };

  const drawChanges = (changes, left, width) => {
    let free = -Infinity;
    return changes.flatMap(({ t, mtu, since }, i) => {
      const room = (i + 1 < changes.length ? view.at(changes[i + 1].t) : left + width) - view.at(t);
      const text = since === undefined || room < 190 ? `MTU ${mtu}` : `MTU ${mtu} since ${Number((since / 1e6).toPrecision(2))} s`;
      const x = view.at(t);
      const nodes = [svg("line", { x1: x, y1: 20, x2: x, y2: Y.change + 4, class: "change" })];
      if (x >= free) {
        const end = x > left + width - 70;
        nodes.push(svg("text", { x: x + (end ? -4 : 4), y: Y.change + 4, class: `mtu${end ? " end" : ""}` }, text));
        free = x + text.length * 8;
      }
      return nodes;
    });
  };

  /** The changes of the MTU while the session ran, and the last change before it began. */
  const visibleChanges = (changes, events) => {
    if (!events.length) return [];
    const first = Math.min(...events), last = Math.max(...events);
    const before = changes.filter((c) => c.t <= first).slice(-1).map((c) => ({ t: first, mtu: c.mtu, ...(c.t < first && { since: c.t }) }));
    return [...before, ...changes.filter((c) => c.t > first && c.t <= last)];
  };

  const draw = (session) => {
    const full = Math.max(stage.clientWidth, 280);
    const left = 58, width = full - left - 12;
    const events = [
      ...session.writes.map((w) => w.t), ...session.reads.map((r) => r.t),
      ...session.segments.flatMap((s) => (s.arrived === null ? [s.t] : [s.t, s.arrived])),
    ];
    const changes = visibleChanges(session.changes, events);
    const time = clock([...events, ...changes.map((c) => c.t)]);
    const total = Math.max(session.shown, 1);
    const root = svg("svg", {
      viewBox: `0 0 ${full} ${Y.bottom}`, width: full, height: Y.bottom, class: "layers",
      role: "group", "aria-label": `The three layers of ${session.id}`,
    });
    view = {
      session, root, shown: null, carried: firstArrived(session.segments), all: [],
      at: (t) => left + time.place(t) * width,
      byte: (offset) => left + offset / total * width,
      band: svg("rect", { y: Y.strips[0] - 4, height: Y.bytes - Y.strips[0] - 8, class: "band", visibility: "hidden" }),
    };
    const lanes = { writes: "Writes", segments: "Segments", reads: "Reads" };
    root.append(...drawAxes(session, time, left, width), ...drawChanges(changes, left, width));
    for (const [lane, name] of Object.entries(lanes)) {
      const group = svg("g", { role: "listbox", "aria-label": name, "aria-orientation": "horizontal" });
      for (const item of session[lane]) {
        const { title, facts } = describe(item, session);
        item.node = svg("g", {
          role: "option", class: "item", tabindex: "-1", "aria-selected": "false",
          "data-kind": item.kind, "data-index": item.index,
          "aria-label": `${title}: ${facts.map(([n, v]) => `${n} ${v}`).join("; ")}`,
        });
        item.node.addEventListener("focus", () => highlight(item));
        view.all.push(item);
        group.append(item.node);
      }
      if (session[lane].length) root.append(group);
    }
    drawSegments(session, session.segments.length <= LABELS_AT_MOST && width >= 460, left + width);
    drawCalls(session, session.writes, Y.client, Y.write, width, left);
    drawCalls(session, session.reads, Y.server, Y.read, width, left);
    drawStrips(session);
    root.append(view.band);
    if (view.all.length) view.all[0].node.setAttribute("tabindex", "0");
    stage.replaceChildren(root);
  };

  const point = (event) => {
    const area = view.root.getBoundingClientRect();
    return nearest(event.clientX - area.left, event.clientY - area.top);
  };
  stage.addEventListener("pointermove", (event) => {
    if (!view || event.pointerType === "touch") return;
    highlight(point(event) ?? pinned);
  });
  stage.addEventListener("pointerleave", () => view && highlight(pinned));
  stage.addEventListener("click", (event) => {
    if (!view) return;
    const item = point(event);
    pin(item === pinned ? null : item);
  });
  stage.addEventListener("focusout", (event) => {
    if (view && !stage.contains(event.relatedTarget)) highlight(pinned);
  });
  stage.addEventListener("keydown", (event) => {
    const node = event.target.closest?.(".item");
    if (!node) return;
    const item = view.all.find((i) => i.node === node);
    const lanes = ["writes", "segments", "reads"];
    const lane = { write: 0, segment: 1, read: 2 }[item.kind];
    const here = view.session[lanes[lane]];
    const toLane = (step) => {
      for (let other = lane + step; lanes[other]; other += step) {
        const found = overlapping(view.session[lanes[other]], item)[0];
        if (found) return found;
      }
      return item;
    };
    const to = {
      ArrowRight: () => here[item.index + 1], ArrowLeft: () => here[item.index - 1],
      ArrowDown: () => toLane(1), ArrowUp: () => toLane(-1),
      Home: () => here[0], End: () => here[here.length - 1],
      Enter: () => item, " ": () => item, Escape: () => null,
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = to();
    if (event.key === "Escape") pin(null);
    else if (next === item && (event.key === "Enter" || event.key === " ")) pin(item === pinned ? null : item);
    else if (next) {
      for (const other of [item, next]) other.node.setAttribute("tabindex", other === next ? "0" : "-1");
      next.node.focus();
    }
  });

  // ---------------------------------------------------------------- one session

  const table = (caption, heads, lines) => html("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    html("table", { class: "small" },
      html("caption", {}, caption),
      html("thead", {}, html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)))),
      html("tbody", {}, ...lines.map(([first, ...rest]) => html("tr", {},
        html("th", { scope: "row" }, first), ...rest.map((cell) => html("td", {}, cell)))))));

  const fillTables = () => {
    const { session } = view;
    const call = (i) => [String(i.index + 1), ms(i.t), `${i.start}:${i.end}`, String(i.end - i.start)];
    $("tables").replaceChildren(
      table("Writes", ["", "at", "bytes", "size"], session.writes.map(call)),
      table("Segments", ["", "sent", "bytes", "size", "arrived", "flags"], session.segments.map((s) => [
        ...call(s), s.arrived === null ? `never (${s.reason || "lost"})` : ms(s.arrived),
        [s.psh && "PSH", s.again && "retransmission"].filter(Boolean).join(", ")])),
      table("Reads", ["", "at", "bytes", "size"], session.reads.map(call)));
  };
  const tables = $("tables-details");
  tables.addEventListener("toggle", () => tables.open && view && fillTables());

  const show = (row) => {
    pinned = null;
    const session = decode(row);
    $("session-title").textContent = session.id;
    const words = [
      plural(session.counts.writes, "write"), plural(session.counts.segments, "segment"),
      plural(session.counts.reads, "read"),
    ].join(", ");
    const cut = session.shown < session.total
      ? ` Only the first ${session.shown} of ${session.total} bytes are shown here; all of them are in sessions.parquet.` : "";
    const name = (field) => strings[row[FIELD[field]]];
    $("session-words").textContent = `${name("sender")} on ${name("network")}, MTU ${session.mtu}, MSS ${session.mss}`
      + `${name("variant") ? `, ${name("variant")}` : ""}: ${words}. ${name("verdict")[0].toUpperCase()}${name("verdict").slice(1)}.${cut}`;
    $("session-facts").textContent = name("facts");
    const error = $("session-error");
    error.textContent = name("error");
    error.hidden = !name("error");
    $("session-captures").replaceChildren(...row[FIELD.captures].flatMap((path, i) => [
      i ? ", " : "Captures: ",
      html("a", { href: path.split("/").map(encodeURIComponent).join("/") }, path)]));
    draw(session);
    fillPanel(null);
    if (tables.open) fillTables();
  };

  // ---------------------------------------------------------------- begin

  for (const name of ["scenario", "sender", "network", "verdict"]) {
    const numbers = new Map();
    for (const row of rows) numbers.set(row[FIELD[name]], (numbers.get(row[FIELD[name]]) ?? 0) + 1);
    for (const [index, number] of numbers) {
      form.elements[name].append(html("option", { value: index }, `${strings[index]} (${number})`));
    }
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  const choose = (name, text) => {
    const found = [...form.elements[name].options].find((o) => o.value !== "" && strings[o.value] === text);
    form.elements[name].value = found ? found.value : "";
  };
  for (const cell of document.querySelectorAll("td[data-sender]")) {
    const button = html("button", { type: "button", class: "link" }, cell.textContent.trim());
    button.setAttribute("aria-label", `${cell.dataset.sender} on ${cell.dataset.network}: ${cell.textContent.trim()}; show its sessions`);
    button.addEventListener("click", () => {
      form.reset();
      choose("scenario", cell.dataset.scenario);
      choose("sender", cell.dataset.sender);
      choose("network", cell.dataset.network);
      setTimeout(() => {
        filter();
        $("sessions").scrollIntoView();
        list.focus({ preventScroll: true });
      });
    });
    cell.replaceChildren(button);
  }

  let resizing = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => {
      if (!view || Math.abs(stage.clientWidth - view.root.width.baseVal.value) < 2) return;
      const kept = pinned;
      draw(view.session);
      pinned = null;
      if (kept) pin(kept);
      renderList();
    });
  }).observe(stage);

  explorer.hidden = false;
  filter();
  performance.mark("seglab-ready");
})();
