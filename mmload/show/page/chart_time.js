"use strict";
// A plot over time: phases behind, series before them, errors in a lane below, figures at the point in its legend.

(() => {
  const { chart, el } = mmload;
  const { svg } = chart;
  const LEFT = 52;
  const RIGHT = 10;
  const TOP = 16; // the phases' names
  const BOTTOM = 20;
  const LANE = 18; // of what was not ok, below the floor
  const LEAST_DRAG_PX = 5;

  chart.TimePlot = class TimePlot {
    /** host: the element that is filled; panel, axes: as in the page's data; axis: the TimeAxis of all plots. */
    constructor(host, panel, axes, axis) {
      Object.assign(this, { host, panel, axes, axis, width: 0, isLog: false });
      this.groups = chart.grouped(panel.series);
      this.floor = TOP + panel.height;
      this.bottom = this.floor + (panel.series.some(({ kind }) => kind === "errors") ? LANE : 0);
      this.hidden = this.linked();
      this.legend = new chart.Legend(this.groups, {
        longest: (series) => chart.longestFigure(series.map(({ values }) => values)),
        toggle: (group) => this.toggle(group),
      });
      this.drawing = svg("svg", { class: "drawing", role: "img", "aria-label": panel.about });
      const reached = { class: "stage", tabindex: "0", role: "group", "aria-label": this.howTo() };
      this.stage = el("div", reached, this.drawing);
      host.replaceChildren(this.legend.root, this.stage);
      this.listen();
      const turn = (isLog) => {
        this.isLog = isLog;
        this.draw();
      };
      if (!panel.series.some(({ kind }) => kind === "stack")) chart.offerLog(host, panel.id, turn);
      mmload.link.onChange(() => {
        this.hidden = this.linked();
        this.draw();
      });
      axis.onChange({ zoomed: () => this.draw(), pointed: () => this.showPoint() });
      new ResizeObserver(() => this.draw()).observe(this.stage);
    }

    howTo() {
      return `${this.panel.title}: arrow keys move the point, plus and minus zoom, Escape shows all`;
    }

    /** The groups that the link hides: it holds their places, for their names are any text. */
    linked() {
      const places = new Set((mmload.link.read(this.panel.id).hide ?? "").split(","));
      return new Set(this.groups.map(([group]) => group).filter((_, place) => places.has(String(place))));
    }

    toggle(group) {
      if (!this.hidden.delete(group)) this.hidden.add(group);
      const hide = this.groups.flatMap(([one], place) => (this.hidden.has(one) ? [place] : [])).join(",");
      mmload.link.change(this.panel.id, { hide: hide || null });
      this.draw();
    }

    // ---- from data to pixels ----------------------------------------------------------------------------------------

    x(t_s) {
      return LEFT + ((t_s - this.axis.from) / this.axis.span) * (this.width - LEFT - RIGHT);
    }

    t(x) {
      return this.axis.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * this.axis.span;
    }

    y(value) {
      return this.floor - this.scale.place(value) * this.panel.height;
    }

    /** [time of the middle, value] of the bins in sight and one more on both sides. */
    inSight(series) {
      const { start_s, bin_s, bins } = this.axes[series.axis];
      const first = Math.max(0, Math.floor((this.axis.from - start_s) / bin_s) - 1);
      const end = Math.min(bins, Math.ceil((this.axis.to - start_s) / bin_s) + 1);
      const found = [];
      for (let bin = first; bin < end; bin++) found.push([start_s + (bin + 0.5) * bin_s, series.values[bin]]);
      return found;
    }

    // ---- drawing ----------------------------------------------------------------------------------------------------

    draw() {
      this.width = this.stage.clientWidth;
      if (!this.width) return;
      const seen = this.panel.series.filter((series) => !this.hidden.has(series.group));
      this.stacked = this.stack(seen);
      const known = seen
        .filter((series) => series.kind !== "errors" && series.kind !== "stack")
        .flatMap((series) => this.inSight(series).map(([, value]) => value))
        .concat([...this.stacked.values()].flat().map((bin) => bin.high))
        .filter((value) => typeof value === "number");
      this.isKnown = known.length > 0;
      this.scale = new chart.Scale(known, this.isLog);
      const height = this.bottom + BOTTOM;
      this.cursor = svg("line", { class: "cursor", y1: TOP, y2: this.bottom, visibility: "hidden" });
      this.selection = svg("rect", { class: "selection", y: TOP, height: this.bottom - TOP, visibility: "hidden" });
      const drawn = this.fromBelow(seen).map((series) => this.legend.drawn(series.group, ...this.lines(series)));
      const inside = `clip-${this.panel.id}`;
      const frame = { x: LEFT, y: 0, width: Math.max(0, this.width - LEFT - RIGHT), height };
      this.drawing.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
      this.drawing.setAttribute("height", height);
      this.drawing.replaceChildren(
        svg("clipPath", { id: inside }, svg("rect", frame)),
        svg("g", { "clip-path": `url(#${inside})` }, ...this.phases()),
        ...this.grid(),
        svg("g", { "clip-path": `url(#${inside})` }, ...drawn, this.selection),
        this.cursor,
      );
      this.legend.show(this.drawing, this.hidden);
      this.showPoint();
    }

    /** Those that all runs in the plot had at the same time, to a bin. */
    phases() {
      const [first, ...others] = [...new Set(this.panel.series.map(({ axis }) => this.axes[axis]))];
      const isAt = ([name, from, to], { phases, bin_s }) =>
        phases.some((one) => one[0] === name && Math.max(Math.abs(one[1] - from), Math.abs(one[2] - to)) <= bin_s);
      const shared = first.phases.filter((phase) => others.every((axis) => isAt(phase, axis)));
      return shared.flatMap(([name, from, to]) => {
        const [left, right] = [this.x(from), this.x(to)];
        const place = { x: left, y: TOP, width: Math.max(0, right - left), height: this.bottom - TOP };
        const wide = Math.min(right, this.width) - Math.max(left, LEFT) > 7 * name.length;
        const label = svg("text", { class: "phase-name", x: Math.max(left, LEFT) + 4, y: TOP - 5 }, name);
        return [svg("rect", { class: `phase ${name}`, ...place }), ...(wide ? [label] : [])];
      });
    }

    grid() {
      const wanted = this.panel.height / 28;
      const levels = this.isKnown ? this.scale.levels(wanted).map((value) => [value, this.y(value)]) : [];
      const times = chart.timeTicks(this.axis.from, this.axis.to, Math.max(2, (this.width - LEFT) / 90));
      return [
        ...levels.map(([, y]) => svg("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y })),
        ...levels.map(([value, y]) => svg("text", { class: "tick end", x: LEFT - 6, y: y + 4 }, chart.tick(value))),
        ...times.map((t_s) =>
          svg("text", { class: "tick middle", x: this.x(t_s), y: this.bottom + 15 }, chart.time(t_s, this.axis.span)),
        ),
        ...(this.bottom > this.floor ? this.lane() : []),
      ];
    }

    lane() {
      const [y, x2] = [this.bottom, this.width - RIGHT];
      return [
        svg("line", { class: "grid", x1: LEFT, x2, y1: y, y2: y }),
        svg("text", { class: "tick end", x: LEFT - 6, y: y - 3 }, "not ok"),
      ];
    }

    /** Areas and stacks, then the others; the first of each lies on top. */
    fromBelow(seen) {
      const isFilled = ({ kind }) => kind === "area" || kind === "stack";
      return [...seen].reverse().sort((one, other) => isFilled(other) - isFilled(one));
    }

    /** Stacked series -> {from, to, low, high} of the bins that it is known in, each on those before it. */
    stack(seen) {
      const sums = new Map();
      const placed = (series, [middle, value]) => {
        const low = sums.get(middle) ?? 0;
        sums.set(middle, low + value);
        const half = this.axes[series.axis].bin_s / 2;
        return { from: middle - half, to: middle + half, low, high: low + value };
      };
      const stacks = seen.filter(({ kind }) => kind === "stack");
      return new Map(
        stacks.map((one) => [one, this.inSight(one).filter(([, value]) => value != null).map((bin) => placed(one, bin))]),
      );
    }

    lines(series) {
      const bins = this.inSight(series);
      if (series.kind === "errors") return this.marks(series, bins);
      if (series.kind === "stack") return [svg("path", { class: `steps ${series.colour}`, d: this.steps(series) })];
      const beyond = bins.filter(([, value]) => value === "inf").map(([t_s]) => this.x(t_s));
      const points = bins.map(([t_s, value]) => (typeof value === "number" ? [this.x(t_s), this.y(value)] : null));
      const drawn = [svg("path", { class: `line ${series.colour} ${series.kind}`, d: chart.path(points) })];
      if (series.kind === "area") drawn.unshift(svg("path", { class: `fill ${series.colour}`, d: this.area(points) }));
      const arrow = (x) => `M${x.toFixed(1)} ${TOP + 1}l-4 7h8z`;
      if (beyond.length) drawn.push(svg("path", { class: `beyond ${series.colour}`, d: beyond.map(arrow).join("") }));
      return drawn;
    }

    area(points) {
      const known = points.filter(Boolean);
      if (!known.length) return "";
      const floor = this.y(0).toFixed(1);
      return `${chart.path(known)}L${known.at(-1)[0].toFixed(1)} ${floor}L${known[0][0].toFixed(1)} ${floor}Z`;
    }

    /** Around the bins of a stacked series, stretch by stretch. */
    steps(series) {
      const stretches = [];
      for (const bin of this.stacked.get(series)) {
        const last = stretches.at(-1);
        if (last && bin.from - last.at(-1).to < 0.5 * (bin.to - bin.from)) last.push(bin);
        else stretches.push([bin]);
      }
      const side = (bin, value) => [bin.from, bin.to].map((t_s) => [this.x(t_s), this.y(value)]);
      const around = (bins) => [
        ...bins.flatMap((bin) => side(bin, bin.high)),
        ...bins.flatMap((bin) => side(bin, bin.low)).reverse(),
      ];
      return stretches.map((bins) => `${chart.path(around(bins))}Z`).join("");
    }

    /** A stroke in the lane for each bin with requests that were not ok, as high as there are many. */
    marks(series, bins) {
      const most = series.values.reduce((sum, value) => Math.max(sum, value ?? 0), 1);
      const bin = (this.axes[series.axis].bin_s / this.axis.span) * (this.width - LEFT - RIGHT);
      const width = Math.max(2, 0.6 * bin);
      return bins
        .filter(([, value]) => value > 0)
        .map(([t_s, value]) => {
          const height = Math.max(2, (LANE - 3) * (value / most));
          const [x, y] = [this.x(t_s) - width / 2, this.bottom - height];
          return svg("rect", { class: "error", x, y, width, height });
        });
    }

    // ---- the point --------------------------------------------------------------------------------------------------

    showPoint() {
      const { point } = this.axis;
      const inSight = point != null && point >= this.axis.from && point <= this.axis.to;
      this.cursor?.setAttribute("visibility", inSight ? "visible" : "hidden");
      if (inSight && this.cursor) ["x1", "x2"].forEach((end) => this.cursor.setAttribute(end, this.x(point)));
      const series = new Map(this.groups);
      const at = (group) => chart.figures(series.get(group).map((one) => this.valueAt(one, point)));
      this.legend.say(point == null ? () => "" : at);
    }

    valueAt(series, t_s) {
      const { start_s, bin_s } = this.axes[series.axis];
      return series.values[Math.floor((t_s - start_s) / bin_s)];
    }

    // ---- hands and keys ---------------------------------------------------------------------------------------------

    listen() {
      const place = (event) => event.clientX - this.drawing.getBoundingClientRect().left;
      let from = null; // where a drag began
      const hears = (kind, does) => this.stage.addEventListener(kind, does);
      const point = (x) => this.axis.pointAt(x < LEFT ? null : this.t(x));
      const drop = () => {
        from = null;
        this.selection?.setAttribute("visibility", "hidden");
      };
      const end = (event) => {
        if (from != null) this.zoomTo(from, place(event));
        drop();
      };
      hears("pointerdown", (event) => {
        if (event.button !== 0) return;
        from = place(event);
        point(from);
      });
      hears("pointermove", (event) => {
        const x = place(event);
        point(x);
        if (from != null && event.buttons & 1) this.select(from, x);
      });
      hears("pointerup", end);
      hears("pointercancel", drop);
      hears("pointerleave", (event) => {
        if (event.buttons & 1) end(event);
        if (event.pointerType === "mouse") this.axis.pointAt(null); // a finger that leaves still wants the figures
      });
      hears("dblclick", () => this.axis.reset());
      hears("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (this.axis.key(event.key, event.shiftKey)) event.preventDefault();
      });
    }

    zoomTo(from, to) {
      if (Math.abs(to - from) >= LEAST_DRAG_PX) this.axis.zoom(this.t(Math.min(from, to)), this.t(Math.max(from, to)));
    }

    select(from, to) {
      this.selection.setAttribute("x", Math.min(from, to));
      this.selection.setAttribute("width", Math.abs(to - from));
      this.selection.setAttribute("visibility", "visible");
    }

    // ---- in words ---------------------------------------------------------------------------------------------------

    /** Every bin in sight as a table, for those who read it. */
    table() {
      const { series } = this.panel;
      const rows = this.inSight(series[0]).filter(([t_s]) => t_s >= this.axis.from && t_s <= this.axis.to);
      const heads = series.map((one) => el("th", {}, `${mmload.shown(one.label)}, ${one.unit}`));
      const figures = (t_s) => series.map((one) => el("td", {}, chart.figure(this.valueAt(one, t_s))));
      const head = el("tr", {}, el("th", {}, "s"), ...heads);
      const line = ([t_s]) => el("tr", {}, el("th", { scope: "row" }, chart.tick(t_s)), ...figures(t_s));
      return el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, ...rows.map(line)));
    }
  };
})();
