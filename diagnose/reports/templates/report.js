// The timeline and the flame graph of a report. Text from a server goes into textContent only.
(() => {
  "use strict";
  const { uPlot, flamegraph, select } = vendor;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // -- colors: canvas knows no CSS variables ------------------------------------------------------

  const probe = document.body.appendChild(element("span", "", "hidden"));
  let colors = {};
  function color(name) {
    if (!(name in colors)) {
      probe.style.color = `var(--${name})`;
      colors[name] = getComputedStyle(probe).color;
    }
    return colors[name];
  }
  function translucent(name, share) {
    return color(name).replace(/^rgb\((.*)\)$/, (_, parts) => `rgba(${parts}, ${share})`);
  }

  // -- figures ------------------------------------------------------------------------------------

  function significant(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 100) return Math.round(value).toLocaleString("en");
    return size >= 10 ? value.toFixed(1) : size >= 0.01 ? value.toFixed(2) : value.toPrecision(2);
  }
  const formats = {
    "1/s": (value) => `${significant(value)}/s`,
    s: (value) =>
      value >= 1 ? `${significant(value)} s`
      : value >= 1e-3 ? `${significant(value * 1e3)} ms` : `${significant(value * 1e6)} us`,
    bytes: (value) => {
      for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]])
        if (Math.abs(value) >= factor) return `${significant(value / factor)} ${unit}`;
      return `${Math.round(value)} B`;
    },
    cores: (value) => `${value.toFixed(2)} cores`,
    share: (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`,
    count: significant,
  };
  const axisFormats = {
    ...formats,
    s: (value) => formats.s(value).replace(/\.0+ /, " "),
    count: (value) => value.toLocaleString("en"),
    "1/s": (value) => (value >= 1e4 ? `${significant(value / 1e3)} k` : significant(value)),
    cores: (value) => String(+value.toFixed(2)),
    share: (value) => `${Math.round(100 * value)} %`,
    bytes: (value) => (value === 0 ? "0" : formats.bytes(value).replace(/\.0+ /, " ")),
  };
  const seconds = (t) => `${t.toFixed(2)} s`;

  // -- the timeline -------------------------------------------------------------------------------

  const whole = [0, Math.max(0.001, ...data.charts.map((chart) => chart.t.at(-1)), ...data.phases.map((phase) => phase.to))];
  let view = whole;
  let brushed = null;
  const charts = [];
  const LANE = { tall: 32, few: 8, height: 22, thin: 11, many: 24 };
  const AXIS = 104;

  function phaseBands(plot, labelled) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, labelled ? 0 : bbox.top, bbox.width, bbox.height + (labelled ? bbox.top : 0));
    ctx.clip();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "alphabetic";
    for (const phase of data.phases) {
      const from = plot.valToPos(phase.from, "x", true);
      const to = plot.valToPos(phase.to, "x", true);
      if (to < bbox.left || from > bbox.left + bbox.width) continue;
      if (phase.name === "window") {
        ctx.fillStyle = color("measured");
        ctx.fillRect(from, bbox.top, to - from, bbox.height);
      }
      ctx.fillStyle = color("edge");
      ctx.fillRect(Math.round(from), labelled ? bbox.top - 16 * devicePixelRatio : bbox.top, devicePixelRatio, bbox.height + (labelled ? 16 * devicePixelRatio : 0));
      const text = phase.name === "window" ? "measured window" : phase.name;
      const left = Math.max(from, bbox.left);
      if (labelled && ctx.measureText(text).width + 8 * devicePixelRatio < Math.min(to, bbox.left + bbox.width) - left) {
        ctx.fillStyle = color(phase.name === "window" ? "accent" : "dim");
        ctx.fillText(text, left + 5 * devicePixelRatio, bbox.top - 5 * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  function drawLanes(plot, spec) {
    const { ctx, bbox } = plot;
    const count = spec.lines.length / spec.layers;
    const tall = bbox.height / count;
    const xs = spec.t.map((t) => plot.valToPos(t, "x", true));
    const gap = Math.min(3 * devicePixelRatio, tall / 5);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (let lane = 0; lane < count; lane++) {
      const bottom = bbox.top + (lane + 1) * tall;
      ctx.fillStyle = color("grid");
      ctx.fillRect(bbox.left, Math.round(bottom) - 1, bbox.width, 1);
      const base = new Array(xs.length).fill(0);
      for (let layer = 0; layer < spec.layers; layer++) {
        const line = spec.lines[lane * spec.layers + layer];
        ctx.fillStyle = color(line.color);
        const y = (value) => bottom - Math.min(1, value) * (tall - gap);
        // One area for each stretch without a hole: pieces side by side would show their seams.
        for (let from = 0; from < xs.length; from++) {
          let to = from;
          while (to < xs.length && line.values[to] !== null) to++;
          if (to - from > 1) {
            ctx.beginPath();
            for (let i = from; i < to; i++) ctx.lineTo(xs[i], y(base[i] + line.values[i]));
            for (let i = to - 1; i >= from; i--) ctx.lineTo(xs[i], y(base[i]));
            ctx.fill();
          }
          from = to;
        }
        line.values.forEach((value, i) => (base[i] += value ?? 0));
      }
    }
    ctx.restore();
  }

  function laneName(spec, lane) {
    const name = spec.lines[lane * spec.layers].label;
    return name.length > 17 ? `${name.slice(0, 8)}…${name.slice(-8)}` : name;
  }

  function options(spec, number, width) {
    const lanes = spec.lanes ? spec.lines.length / spec.layers : 0;
    const laneHeight = lanes > LANE.many ? LANE.thin : lanes > LANE.few ? LANE.height : LANE.tall;
    const labelled = number === 0;
    const last = number === data.charts.length - 1;
    const axis = {
      stroke: () => color("dim"),
      grid: { stroke: () => color("grid"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const positive = spec.lines.flatMap((line) => line.values).filter((value) => value > 0);
    const logarithmic = spec.log && positive.length > 0;
    const y = lanes
      ? { range: [0, lanes] }
      : logarithmic
        ? { distr: 3, range: logRange(positive) }
        : { range: (_, low, high) => [0, spec.unit === "share" ? Math.max(0.1, Math.min(1, high * 1.15)) : (high || 1) * 1.08] };
    return {
      width,
      height: (lanes ? Math.max(lanes * laneHeight, 30) : 150) + 26 + (labelled ? 20 : 8),
      padding: [labelled ? 20 : 8, 10, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: "timeline", setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { show: !lanes, size: 6 },
        bind: { dblclick: () => () => (reset(), null) },
      },
      scales: { x: { time: false, range: () => view }, y },
      axes: [
        { ...axis, size: 26, values: (_, splits) => splits.map((t) => `${+t.toFixed(2)} s`) },
        lanes
          ? { ...axis, size: AXIS, grid: { show: false }, splits: Array.from({ length: lanes }, (_, i) => i + 0.5),
              values: (_, splits) => splits.map((at) => (lanes > LANE.many && (lanes - 0.5 - at) % 4 ? "" : laneName(spec, lanes - 0.5 - at))) }
          : { ...axis, size: AXIS, space: 32, ...(spec.unit === "bytes" ? { incrs: powers() } : {}),
              ...(spec.unit === "count" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4] } : {}),
              values: (plot, splits) => splits.map((value) => (value === null ? "" : axisFormats[spec.unit](value))) },
      ],
      series: [
        {},
        ...spec.lines.map((line) =>
          lanes
            ? { paths: () => null, points: { show: false }, stroke: () => color(line.color) }
            : {
                label: line.label,
                stroke: () => color(line.color),
                width: line.dashed ? 1.2 : 1.7,
                dash: line.dashed ? [5, 4] : undefined,
                fill: line === spec.lines[0] && !logarithmic ? () => translucent(line.color, 0.1) : undefined,
                points: { show: false },
                spanGaps: spec.id === "sockets",
              }),
      ],
      hooks: {
        drawClear: [(plot) => phaseBands(plot, labelled)],
        draw: lanes ? [(plot) => drawLanes(plot, spec)] : [],
        setCursor: [(plot) => legend(plot)],
        setSelect: [(plot) => fromSelect(plot)],
      },
    };
  }
  function powers() {
    return Array.from({ length: 42 }, (_, power) => 2 ** power);
  }
  function logRange(values) {
    let low = Infinity, high = 0;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high) + 1e-9)];
  }

  // What a stretch comes to: the highest value of bytes, the mean of all else.
  function summary(spec, values, [from, to]) {
    let sum = 0, count = 0, most = -Infinity;
    spec.t.forEach((t, i) => {
      if (t < from || t > to || values[i] === null) return;
      sum += values[i];
      count += 1;
      most = Math.max(most, values[i]);
    });
    return count ? (spec.unit === "bytes" ? most : sum / count) : null;
  }

  function legend(plot) {
    const { spec, list } = charts.find((chart) => chart.plot === plot) ?? {};
    if (!spec) return;
    const at = plot.cursor.left >= 0 ? plot.cursor.idx : null;
    const stretch = brushed ?? data.window ?? whole;
    const shown = (line) => {
      const value = at === null || at === undefined ? summary(spec, line.values, stretch) : line.values[at];
      return value === null || value === undefined ? "" : formats[spec.unit](value);
    };
    const rows = [];
    if (spec.lanes) {
      const count = spec.lines.length / spec.layers;
      const lane = Math.min(count - 1, Math.max(0, Math.floor((plot.cursor.top / plot.over.clientHeight) * count)));
      const hovered = at !== null && plot.cursor.event;
      for (let layer = 0; layer < spec.layers; layer++) {
        const line = spec.lines[lane * spec.layers + layer];
        const name = layer ? line.label : spec.layers > 1 ? "running" : "busy";
        rows.push([line, hovered && !layer ? `${line.label}: ${name}` : name, hovered ? shown(line) : ""]);
      }
    } else {
      for (const line of spec.lines) {
        const most = spec.unit === "bytes" && (at === null || at === undefined);
        rows.push([line, line.label, shown(line) && (most ? `max ${shown(line)}` : shown(line))]);
      }
    }
    list.replaceChildren(...rows.map(([line, name, value]) => {
      const row = element("li");
      const mark = row.appendChild(element("i", "", line.dashed ? "dashed" : ""));
      mark.style.color = `var(--${line.color})`;
      row.append(name);
      if (value) row.append(element("b", value));
      return row;
    }));
    const first = charts.find((chart) => chart.plot);
    if (first && first.plot === plot) tellStretch(at === null || at === undefined ? null : spec.t[at]);
  }

  function tellStretch(t) {
    const stretch = brushed ?? data.window ?? whole;
    const what = brushed ? "selected" : data.window ? "measured window" : "whole run";
    byId("stretch").textContent = t !== null
      ? `at ${seconds(t)}`
      : `means of ${seconds(stretch[0])} to ${seconds(stretch[1])} (${what})`;
  }

  let setting = false;
  function fromSelect(plot) {
    if (setting || plot.select.width < 2) return;
    brush([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")]);
  }

  function brush(stretch) {
    brushed = stretch && [Math.max(whole[0], Math.min(...stretch)), Math.min(whole[1], Math.max(...stretch))];
    paintSelection();
    byId("zoom").disabled = !brushed;
    byId("whole").disabled = !brushed && view === whole;
    charts.forEach(({ plot }) => legend(plot));
    if (flame) flame.limit(brushed);
  }

  function paintSelection() {
    setting = true;
    for (const { plot } of charts) {
      const [left, right] = brushed ? brushed.map((t) => plot.valToPos(t, "x")) : [0, 0];
      plot.setSelect({ left, top: 0, width: Math.max(0, right - left), height: plot.over.clientHeight }, false);
    }
    setting = false;
  }

  function show(range) {
    view = range;
    charts.forEach(({ plot }) => plot.setScale("x", { min: range[0], max: range[1] }));
    paintSelection();
    byId("whole").disabled = !brushed && view === whole;
  }

  function reset() {
    show(whole);
    brush(null);
  }

  function keyed(event, chart) {
    const { plot, spec } = chart;
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps) {
      const before = chart.at ?? spec.t.findIndex((t) => t >= (data.window ?? view)[0]);
      chart.at = Math.min(spec.t.length - 1, Math.max(0, before + steps[event.key] * (event.ctrlKey ? 10 : 1)));
      const t = spec.t[chart.at];
      if (event.shiftKey) {
        chart.anchor ??= spec.t[before];
        brush([chart.anchor, t]);
      } else chart.anchor = null;
      charts.forEach((each) => each.plot.setCursor({ left: each.plot.valToPos(t, "x"), top: 10 }));
    } else if (event.key === "z" || event.key === "Z") {
      if (brushed) show(brushed);
    } else if (event.key === "Escape") {
      chart.anchor = null;
      reset();
      charts.forEach((each) => each.plot.setCursor({ left: -10, top: -10 }));
    } else return;
    event.preventDefault();
  }

  function makeCharts() {
    data.charts.forEach((spec, number) => {
      const figure = byId(`chart-${spec.id}`);
      const place = figure.querySelector(".plot");
      const chart = { spec, place, list: figure.querySelector(".legend"), plot: null, at: null, anchor: null };
      charts.push(chart);
      chart.plot = new uPlot(
        options(spec, number, place.clientWidth),
        [spec.t, ...spec.lines.map((line) => line.values)], place);
      place.addEventListener("keydown", (event) => keyed(event, chart));
      legend(chart.plot);
    });
    tellStretch(null);
    byId("zoom").addEventListener("click", () => brushed && show(brushed));
    byId("whole").addEventListener("click", reset);
    byId("measured").disabled = !data.window;
    byId("measured").addEventListener("click", () => brush(data.window));
  }

  // -- the flame graph ----------------------------------------------------------------------------

  const KERNEL = /_\[k\]$|^\[kernel|^entry_SYSCALL|^__x64_sys|^do_syscall/;
  const LIBRARY = /site-packages|dist-packages|\/lib\/python|node_modules|node:|<frozen|\/usr\/lib|\/lib\/|\.so\b|\[unknown\]|^_Py|^Py[A-Z]|^std::|^runtime\.|^java[x.]|^v8::|^Builtins_/;

  // A frame without the folders of its file.
  function short(name) {
    return name.replace(/ \((?:[^()]*\/)?([^()/]*)\)$/, " ($1)");
  }
  function kindOf(name) {
    return /^PID \d|^thread \(|^\((nothing to do|waiting)\)$/.test(name) ? "base" : KERNEL.test(name) ? "kernel" : LIBRARY.test(name) ? "library" : "own";
  }

  function weightsOf(profile, stretch) {
    if (!stretch || !profile.slices.length) return profile.counts;
    const weights = new Array(profile.stacks.length).fill(0);
    for (const slice of profile.slices) {
      const middle = (slice.from + slice.to) / 2;
      if (middle < stretch[0] || middle > stretch[1]) continue;
      for (let i = 0; i < slice.pairs.length; i += 2) weights[slice.pairs[i]] += slice.pairs[i + 1];
    }
    return weights;
  }

  const ABOUT = {
    "on-cpu": "Where CPU time went while the same load ran a second time under the profiler. Width is the share of samples.",
    "off-cpu": "Where threads slept while the same load ran once more. Width is the mean number of threads that stood there.",
    lock: "Who had the interpreter's lock, each time that somebody was seen with it.",
    memory: "Who allocated the memory, in a second launch. Width is bytes.",
    difference: "What a request costs in CPU time, here and in the base. Width is the larger of both.",
  };
  const GROUPS = {
    "on-cpu": "running threads", "off-cpu": "waiting threads", lock: "the interpreter's lock",
    memory: "memory", difference: "against the base",
  };
  // A weight in words, by the unit of its profile.
  function amountOf(profile, value) {
    const many = value.toLocaleString("en");
    if (profile.unit === "threads") return `${significant(value * profile.each)} threads at once`;
    if (profile.unit === "bytes") return formats.bytes(value);
    if (profile.unit === "ns") return `${formats.s(value / 1e9)} a request`;
    return profile.unit === "looks" ? `seen ${many} times` : `${many} samples`;
  }
  // From one color to another, by a share of the way.
  function mixed(from, to, share) {
    const parts = [from, to].map((name) => color(name).match(/[\d.]+/g).map(Number));
    return `rgb(${[0, 1, 2].map((i) => Math.round(parts[0][i] + share * (parts[1][i] - parts[0][i]))).join(", ")})`;
  }

  // Prototype names like "constructor" are function names too: children are kept in a Map.
  function treeOf(chosen, stretch, byLeaf) {
    const top = { name: "all", full: "all", value: 0, now: 0, delta: 0, map: new Map() };
    for (const profile of chosen) {
      const weights = weightsOf(profile, stretch);
      profile.stacks.forEach((stack, index) => {
        const weight = weights[index];
        if (!weight) return;
        const now = profile.now ? profile.now[index] : weight;
        const delta = profile.now ? now - profile.before[index] : 0;
        top.value += weight;
        top.now += now;
        top.delta += delta;
        let node = top;
        const path = byLeaf ? [...stack].reverse() : stack;
        const head = chosen.length > 1 && !byLeaf ? [profile.label] : [];
        for (const step of [...head, ...path]) {
          const full = typeof step === "number" ? data.names[step] : step;
          let next = node.map.get(full);
          if (!next) node.map.set(full, (next = { name: short(full), full, value: 0, now: 0, delta: 0, map: new Map() }));
          next.value += weight;
          next.now += now;
          next.delta += delta;
          node = next;
        }
      });
    }
    const waiting = [top];
    top.most = 0;
    while (waiting.length) {
      const node = waiting.pop();
      top.most = Math.max(top.most, Math.abs(node.delta));
      node.children = [...node.map.values()].sort((a, b) => b.value - a.value);
      delete node.map;
      waiting.push(...node.children);
    }
    return top;
  }

  function makeFlame() {
    const place = byId("flame-plot");
    const status = byId("flame-status");
    const sliced = data.profiles.some((profile) => profile.slices.length);
    let stretch = null;
    let graph = null;
    let total = 0;
    let current = null;
    let found = "";
    let first = data.profiles[0];
    let tree = null;

    const process = byId("process");
    const running = data.profiles.filter((profile) => profile.kind === "on-cpu");
    for (const [kind, title] of Object.entries(GROUPS)) {
      const group = element("optgroup");
      group.label = title;
      if (kind === "on-cpu" && running.length > 1) group.append(new Option(`all ${running.length} processes`, "all"));
      data.profiles.forEach((profile, number) => {
        if (profile.kind === kind) group.append(new Option(profile.label, String(number)));
      });
      if (group.children.length) process.append(group);
    }

    // What a frame comes to; in a difference also what it was before.
    function told(node) {
      const text = amountOf(first, node.value);
      if (!first.now) return `${node.full}: ${percent(node.value)}, ${text}`;
      const change = `${node.delta > 0 ? "+" : "-"}${formats.s(Math.abs(node.delta) / 1e9)} against the base`;
      return `${node.full}: ${amountOf(first, node.now)}, ${node.delta ? change : "as in the base"}`;
    }
    function fill(d) {
      if (d.highlight) return color("hit");
      if (!first.now) return color(d.depth === 0 ? "base" : kindOf(d.data.full));
      // By the root of the share, so that smaller changes show beside the largest.
      return mixed("base", d.data.delta > 0 ? "bad" : "accent", Math.sqrt(Math.abs(d.data.delta) / Math.max(1, tree.most)));
    }

    const percent = (value) => `${((100 * value) / Math.max(1, total)).toFixed(1)} %`;
    function tell(text) {
      if (text) status.textContent = text;
      else {
        const part = stretch && first.slices.length ? ` between ${seconds(stretch[0])} and ${seconds(stretch[1])}` : "";
        status.textContent = found || `${first.now ? told(tree) : amountOf(first, total)}${part}`;
      }
    }

    function draw() {
      const chosen = process.value === "all" ? running : [data.profiles[+process.value]];
      first = chosen[0];
      byId("flame-about").textContent = ABOUT[first.kind];
      byId("change-keys").hidden = !first.now;
      byId("frame-keys").hidden = Boolean(first.now);
      tree = treeOf(chosen, stretch, byId("bottom-up").checked);
      total = tree.value;
      found = "";
      current = null;
      select(place).selectAll("svg").remove();
      if (!total) {
        tell("No samples in this stretch: the profile was taken in the phase that is named so.");
        return;
      }
      graph = flamegraph()
        .width(Math.max(200, place.clientWidth - 2))
        .cellHeight(20)
        .minFrameSize(1)
        .transitionDuration(still ? 0 : 200)
        .inverted(byId("icicle").checked || byId("bottom-up").checked)
        .setLabelHandler((d) => told(d.data))
        .setDetailsHandler((text) => tell(text))
        .setColorMapper(fill)
        .setSearchMatch((d, term) => term !== "" && d.data.full.toLowerCase().includes(term.toLowerCase()))
        .setSearchHandler((results, sum) => {
          found = results.length
            ? `${results.length === 1 ? "1 frame matches" : `${results.length} frames match`}, ${percent(sum)} of the ${first.kind === "on-cpu" ? "samples" : "width"}`
            : "no frame matches";
          tell();
        });
      select(place).datum(tree).call(graph);
      // The root is where one begins to read.
      place.scrollTop = graph.inverted() ? 0 : place.scrollHeight;
      if (byId("search").value) graph.search(byId("search").value);
      tell();
    }

    function find(term) {
      if (!graph || !total) return;
      if (term) graph.search(term);
      else {
        found = "";
        graph.clear();
        tell();
      }
    }

    function walk(event) {
      if (!graph || !total) return;
      const start = current ?? select(place).select("svg").selectAll("g").datum();
      const node = start?.ancestors().at(current ? 0 : -1);
      if (!node) return;
      const down = byId("icicle").checked || byId("bottom-up").checked ? "ArrowDown" : "ArrowUp";
      const up = down === "ArrowDown" ? "ArrowUp" : "ArrowDown";
      const siblings = node.parent?.children ?? [node];
      const place_ = siblings.indexOf(node);
      const next = {
        [down]: node.children?.find((child) => child.value > 0),
        [up]: node.parent,
        ArrowLeft: siblings[place_ - 1],
        ArrowRight: siblings[place_ + 1],
      }[event.key];
      if (event.key === "Escape") graph.resetZoom();
      else if (event.key === "Enter" && current) graph.zoomTo(current);
      else if (event.key.startsWith("Arrow")) current = next ?? node;
      else return;
      event.preventDefault();
      select(place).selectAll("g").classed("current", (d) => d === current);
      if (current) tell(told(current.data));
    }

    process.addEventListener("change", draw);
    byId("icicle").addEventListener("change", draw);
    byId("bottom-up").addEventListener("change", draw);
    byId("unzoom").addEventListener("click", () => graph && total && graph.resetZoom());
    byId("search").addEventListener("input", (event) => find(event.target.value));
    place.addEventListener("keydown", walk);
    document.querySelectorAll(".frame-link").forEach((link) =>
      link.addEventListener("click", () => {
        if (first.kind !== "on-cpu") {
          process.selectedIndex = 0;
          draw();
        }
        byId("search").value = link.dataset.frame;
        find(link.dataset.frame);
        byId("flame").scrollIntoView();
      }));
    draw();
    return {
      draw,
      // The first profile that suits: a link leads to it.
      choose(suits) {
        const number = data.profiles.findIndex(suits);
        if (number < 0) return;
        process.value = running.length > 1 && data.profiles[number].kind === "on-cpu" ? "all" : String(number);
        draw();
      },
      limit(next) {
        stretch = next;
        if (sliced) draw();
      },
    };
  }

  // -- the page -----------------------------------------------------------------------------------

  let flame = null;
  if (data.charts.length) makeCharts();
  if (data.profiles.length) flame = makeFlame();

  function repaint() {
    colors = {};
    charts.forEach(({ plot }) => plot.redraw());
    if (flame) flame.draw();
  }
  function resize() {
    charts.forEach(({ plot, place }) => plot.setSize({ width: place.clientWidth, height: plot.height }));
    paintSelection();
    if (flame) flame.draw();
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  byId("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", repaint);

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    requestAnimationFrame(resize);
  });
  // Paper is white, and a closed part of the page cannot be opened on it.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme ?? "", closed: [...document.querySelectorAll("details:not([open])")] };
    root.dataset.theme = "light";
    before.closed.forEach((part) => (part.open = true));
    repaint();
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.theme) root.dataset.theme = before.theme;
    else delete root.dataset.theme;
    before.closed.forEach((part) => (part.open = false));
    before = null;
    repaint();
  });

  document.querySelectorAll("a.show").forEach((link) =>
    link.addEventListener("click", () => {
      document.querySelectorAll(".chart.shown").forEach((other) => other.classList.remove("shown"));
      byId(`chart-${link.dataset.chart}`)?.classList.add("shown");
      const { kind, profile } = link.dataset;
      // A file, or all that begin alike: `perf-*`.
      const file = (profile ?? "").replace(/\*$/, "");
      if (flame && kind) flame.choose((one) => one.kind === kind);
      if (flame && file) flame.choose((one) => one.file.startsWith(file));
      if (link.dataset.span && charts.length) brush(link.dataset.span.split(",").map(Number));
    }));
  byId("copy").addEventListener("click", async () => {
    const text = byId("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
      byId("copy").textContent = "Copied";
    } catch {
      // Not every browser lets a file write there: the text is selected instead.
      getSelection().selectAllChildren(byId("command"));
      byId("copy").textContent = "Selected: press Ctrl+C";
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && byId("search") && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId("search").focus();
    }
  });
})();
