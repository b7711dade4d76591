"use strict";
// A plot over time: phases behind, series before them, their figures at the point in its legend.

(() => {
  const { chart, el } = mmload;
  const { svg } = chart;
  const LEFT = 52;
  const RIGHT = 10;
  const TOP = 8;
  const BOTTOM = 20;
  const HEIGHT = 140;
  const LEAST_DRAG_PX = 5;

  chart.TimePlot = class TimePlot {
    /** host: the element that is filled; panel, axes: as in the page's data; axis: the TimeAxis of all plots. */
    constructor(host, panel, axes, axis) {
      Object.assign(this, { host, panel, axes, axis, width: 0, hidden: new Set(), figures: new Map() });
      const entries = chart.grouped(panel.series).map((group) => this.legendEntry(...group));
      this.legend = el("div", { class: "legend" }, ...entries);
      this.drawing = svg("svg", { class: "drawing", role: "img", "aria-label": panel.about });
      const reached = { class: "stage", tabindex: "0", role: "group", "aria-label": this.howTo() };
      this.stage = el("div", reached, this.drawing);
      host.replaceChildren(this.legend, this.stage);
      this.listen();
      axis.onChange({ zoomed: () => this.draw(), pointed: () => this.showPoint() });
      new ResizeObserver(() => this.draw()).observe(this.stage);
    }

    howTo() {
      return `${this.panel.title}: arrow keys move the point, plus and minus zoom, Escape shows all`;
    }

    legendEntry(group, [first]) {
      const figure = el("output", { class: "at-point" });
      const toggle = () => {
        if (!this.hidden.delete(group)) this.hidden.add(group);
        button.setAttribute("aria-pressed", String(!this.hidden.has(group)));
        this.draw();
      };
      const key = el("span", { class: `key ${first.colour} ${first.kind}`, "aria-hidden": "true" });
      const name = mmload.shown(group);
      const button = el("button", { type: "button", class: "quiet", "aria-pressed": "true", click: toggle }, key, name);
      this.figures.set(group, figure);
      return el("span", { class: "entry" }, button, figure);
    }

    // ---- from data to pixels ----------------------------------------------------------------------------------------

    x(t_s) {
      return LEFT + ((t_s - this.axis.from) / this.axis.span) * (this.width - LEFT - RIGHT);
    }

    t(x) {
      return this.axis.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * this.axis.span;
    }

    y(value) {
      return HEIGHT - BOTTOM - (value / this.top) * (HEIGHT - TOP - BOTTOM);
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
      const known = seen
        .filter((series) => series.kind !== "errors")
        .flatMap((series) => this.inSight(series).map(([, value]) => value))
        .filter((value) => typeof value === "number");
      this.top = chart.roundUp(known.reduce((most, value) => Math.max(most, value), 0));
      this.cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
      this.selection = svg("rect", { class: "selection", y: TOP, height: HEIGHT - TOP - BOTTOM, visibility: "hidden" });
      const drawn = this.fromBelow(seen).flatMap((series) => this.lines(series));
      const inside = `clip-${this.panel.id}`;
      const frame = { x: LEFT, y: 0, width: Math.max(0, this.width - LEFT - RIGHT), height: HEIGHT };
      this.drawing.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
      this.drawing.setAttribute("height", HEIGHT);
      this.drawing.replaceChildren(
        svg("clipPath", { id: inside }, svg("rect", frame)),
        svg("g", { "clip-path": `url(#${inside})` }, ...this.phases()),
        ...this.grid(),
        svg("g", { "clip-path": `url(#${inside})` }, ...drawn, this.selection),
        this.cursor,
      );
      this.showPoint();
    }

    phases() {
      const { phases } = this.axes[this.panel.series[0].axis];
      return phases.flatMap(([name, from, to]) => {
        const [left, right] = [this.x(from), this.x(to)];
        const place = { x: left, y: TOP, width: Math.max(0, right - left), height: HEIGHT - TOP - BOTTOM };
        const wide = Math.min(right, this.width) - Math.max(left, LEFT) > 7 * name.length;
        const label = svg("text", { class: "phase-name", x: Math.max(left, LEFT) + 4, y: TOP + 11 }, name);
        return [svg("rect", { class: `phase ${name}`, ...place }), ...(wide ? [label] : [])];
      });
    }

    grid() {
      const levels = chart.ticks(0, this.top, 4).map((value) => [value, this.y(value)]);
      const times = chart.timeTicks(this.axis.from, this.axis.to, Math.max(2, (this.width - LEFT) / 90));
      return [
        ...levels.map(([, y]) => svg("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y })),
        ...levels.map(([value, y]) => svg("text", { class: "tick end", x: LEFT - 6, y: y + 4 }, chart.tick(value))),
        ...times.map((t_s) =>
          svg("text", { class: "tick middle", x: this.x(t_s), y: HEIGHT - 5 }, chart.time(t_s, this.axis.span)),
        ),
      ];
    }

    /** Areas, then the others; the first of each lies on top. */
    fromBelow(seen) {
      return [...seen].reverse().sort((one, other) => (other.kind === "area") - (one.kind === "area"));
    }

    lines(series) {
      const bins = this.inSight(series);
      if (series.kind === "errors") return this.marks(series, bins);
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

    /** A stroke on the floor for each bin with requests that were not ok, as high as there are many. */
    marks(series, bins) {
      const most = series.values.reduce((sum, value) => Math.max(sum, value ?? 0), 1);
      const bin = (this.axes[series.axis].bin_s / this.axis.span) * (this.width - LEFT - RIGHT);
      const width = Math.max(2, 0.6 * bin);
      return bins
        .filter(([, value]) => value > 0)
        .map(([t_s, value]) => {
          const height = 6 + 18 * (value / most);
          const [x, y] = [this.x(t_s) - width / 2, HEIGHT - BOTTOM - height];
          return svg("rect", { class: "error", x, y, width, height });
        });
    }

    // ---- the point --------------------------------------------------------------------------------------------------

    showPoint() {
      const { point } = this.axis;
      const inSight = point != null && point >= this.axis.from && point <= this.axis.to;
      this.cursor?.setAttribute("visibility", inSight ? "visible" : "hidden");
      if (inSight && this.cursor) ["x1", "x2"].forEach((end) => this.cursor.setAttribute(end, this.x(point)));
      for (const [group, series] of chart.grouped(this.panel.series)) {
        const values = point == null ? null : series.map((one) => this.valueAt(one, point));
        this.figures.get(group).textContent = values ? chart.figures(values) : "";
      }
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
      const drop = () => {
        from = null;
        this.selection?.setAttribute("visibility", "hidden");
      };
      const end = (event) => {
        if (from != null) this.zoomTo(from, place(event));
        drop();
      };
      hears("pointerdown", (event) => {
        if (event.button === 0) from = place(event);
      });
      hears("pointermove", (event) => {
        const x = place(event);
        this.axis.pointAt(x < LEFT ? null : this.t(x));
        if (from != null && event.buttons & 1) this.select(from, x);
      });
      hears("pointerup", end);
      hears("pointercancel", drop);
      hears("pointerleave", (event) => {
        if (event.buttons & 1) end(event);
        this.axis.pointAt(null);
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
      const { series, unit } = this.panel;
      const rows = this.inSight(series[0]).filter(([t_s]) => t_s >= this.axis.from && t_s <= this.axis.to);
      const heads = series.map((one) => el("th", {}, `${mmload.shown(one.label)}, ${unit}`));
      const figures = (t_s) => series.map((one) => el("td", {}, chart.figure(this.valueAt(one, t_s))));
      const head = el("tr", {}, el("th", {}, "s"), ...heads);
      const line = ([t_s]) => el("tr", {}, el("th", { scope: "row" }, chart.tick(t_s)), ...figures(t_s));
      return el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, ...rows.map(line)));
    }
  };
})();
