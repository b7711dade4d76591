"use strict";
// A percentile curve: how long the slower ones took; on its axis each further nine has as much room as the last.

(() => {
  const { chart, el } = mmload;
  const { svg } = chart;
  const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [52, 14, 22, 34, 290];
  const SHARES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
  const NEAR = 3; // a limit this many times above all that is drawn does not stretch the axis
  const TICK_ROOM = 30; // pixels
  const STEP = 1 / 60; // of the axis, with each key
  const LONGEST_NAME = "p99.999 ".length;

  chart.CurvePlot = class CurvePlot {
    constructor(host, plot) {
      Object.assign(this, { host, plot, width: 0, share: null });
      // Beyond half a request there is nothing left.
      this.least = Math.min(...plot.curves.map(({ curve }) => 0.5 / curve.n));
      this.groups = chart.grouped(plot.curves);
      this.legend = new chart.Legend(this.groups, {
        longest: (curves) => LONGEST_NAME + chart.longestFigure(curves.map(({ curve }) => curve.ms)) + " ms".length,
      });
      this.drawing = svg("svg", { class: "drawing", role: "img", "aria-label": plot.about });
      const how = `${plot.title}: arrow keys move the point`;
      this.stage = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": how }, this.drawing);
      host.replaceChildren(this.legend.root, this.stage);
      chart.offerLog(host, plot.id, (isLog) => {
        this.isLog = isLog;
        this.draw();
      });
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.stage);
    }

    // ---- from data to pixels ----------------------------------------------------------------------------------------

    /** tail: the share that took longer. */
    x(tail) {
      const place = Math.log(Math.max(tail, this.least)) / Math.log(this.least);
      return LEFT + place * (this.width - LEFT - RIGHT);
    }

    tail(x) {
      const place = (x - LEFT) / (this.width - LEFT - RIGHT);
      return this.least ** Math.min(1, Math.max(0, place));
    }

    y(ms) {
      return HEIGHT - BOTTOM - this.scale.place(ms) * (HEIGHT - TOP - BOTTOM);
    }

    /** All that is drawn, the limits near it too; nothing where nothing was answered. */
    values() {
      const values = this.plot.curves.flatMap(({ curve }) => curve.ms);
      const most = Math.max(0, ...this.plot.curves.map(({ curve }) => curve.ms.at(-1) ?? 0));
      return values.concat(this.plot.limits.map((limit) => limit.ms).filter((ms) => ms <= NEAR * most));
    }

    // ---- drawing ----------------------------------------------------------------------------------------------------

    draw() {
      this.width = this.stage.clientWidth;
      if (!this.width) return;
      const values = this.values();
      this.scale = new chart.Scale(values, this.isLog);
      if (!values.length) {
        this.stage.replaceChildren(el("p", { class: "note" }, "no answer was ok"));
        return;
      }
      this.cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
      this.drawing.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
      this.drawing.setAttribute("height", HEIGHT);
      this.drawing.replaceChildren(
        ...this.grid(),
        ...[...this.plot.curves].reverse().map((one) => this.legend.drawn(one.group, ...this.line(one))), // first on top
        ...this.plot.limits.flatMap((limit) => this.limit(limit)),
        this.cursor,
      );
      this.legend.show(this.drawing);
      this.showPoint();
    }

    grid() {
      const levels = this.scale.levels(5);
      const shares = this.shares();
      const [right, bottom] = [this.width - RIGHT, HEIGHT - BOTTOM];
      const across = (y) => svg("line", { class: "grid", x1: LEFT, x2: right, y1: y, y2: y });
      const upright = (x) => svg("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: bottom });
      const below = (share) =>
        svg("text", { class: "tick middle", x: this.x(1 - share), y: bottom + 15 }, `p${chart.tick(100 * share)}`);
      return [
        ...levels.map((ms) => across(this.y(ms))),
        ...levels.map((ms) => svg("text", { class: "tick end", x: LEFT - 6, y: this.y(ms) + 4 }, chart.tick(ms))),
        ...shares.map((share) => upright(this.x(1 - share))),
        ...shares.map(below),
        svg("text", { class: "tick end", x: LEFT - 6, y: 10 }, "ms"),
        svg("text", { class: "tick end", x: right, y: HEIGHT - 4 }, "the slowest →"),
      ];
    }

    /** Those that the axis reaches and that have room for their names. */
    shares() {
      const places = SHARES.filter((share) => 1 - share >= this.least).map((share) => [share, this.x(1 - share)]);
      return places.filter(([, x], i) => i === 0 || x - places[i - 1][1] >= TICK_ROOM).map(([share]) => share);
    }

    /** Each value holds from the share before it to its own; the last one to the end of the axis. */
    line({ curve, colour, kind }) {
      const { n, answered, rank, ms } = curve;
      const points = rank.flatMap((place, i) => [
        [this.x((n - place + 1) / n), this.y(ms[i])],
        [this.x((n - place) / n), this.y(ms[i])],
      ]);
      const drawn = [svg("path", { class: `line ${colour} ${kind}`, d: chart.path(points) })];
      if (answered < n) {
        const x = this.x((n - answered) / n);
        const from = points.at(-1)?.[1] ?? HEIGHT - BOTTOM;
        drawn.push(svg("path", { class: `line ${colour} endless`, d: `M${x.toFixed(1)} ${from.toFixed(1)}V${TOP}` }));
        drawn.push(svg("text", { class: "tick end", x: Math.min(x + 12, this.width - 4), y: TOP + 9 }, "∞"));
      }
      return drawn;
    }

    limit({ share, ms, text }) {
      const x = this.x(1 - share);
      const isFar = ms > this.scale.high;
      const y = isFar ? TOP + 4 : this.y(ms);
      const said = isFar ? `limit ${text} ↑` : `limit ${text}`;
      return [
        svg("path", { class: "limit", d: isFar ? `M${x} ${y + 8}v-8m-4 4l4 -4l4 4` : `M${x - 26} ${y}h52` }),
        svg("text", { class: "limit-text end", x: x - 8, y: isFar ? y + 5 : y - 5 }, said),
      ];
    }

    // ---- the point --------------------------------------------------------------------------------------------------

    pointAt(share) {
      this.share = share;
      this.showPoint();
    }

    showPoint() {
      const { share } = this;
      this.cursor?.setAttribute("visibility", share == null ? "hidden" : "visible");
      if (share != null && this.cursor) ["x1", "x2"].forEach((end) => this.cursor.setAttribute(end, this.x(1 - share)));
      const name = share == null ? "" : `p${(100 * share).toFixed(share > 0.99 ? 3 : 1)}`;
      const curves = new Map(this.groups);
      const at = (group) => chart.figures(curves.get(group).map(({ curve }) => chart.percentile(curve, share)));
      this.legend.say((group) => name && `${name} ${at(group)} ms`);
    }

    listen() {
      const point = (event) => {
        const x = event.clientX - this.drawing.getBoundingClientRect().left;
        this.pointAt(x < LEFT ? null : 1 - this.tail(x));
      };
      for (const name of ["pointerdown", "pointermove"]) this.stage.addEventListener(name, point);
      this.stage.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse") this.pointAt(null); // a finger that leaves still wants the figures
      });
      this.stage.addEventListener("keydown", (event) => {
        const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (event.key === "Escape") this.pointAt(null);
        if (!way) return;
        event.preventDefault();
        const room = this.width - LEFT - RIGHT;
        const at = this.share == null ? this.x(0.5) : this.x(1 - this.share) + way * STEP * room;
        this.pointAt(1 - this.tail(at));
      });
    }
  };

  /** The exact percentile where its rank was kept, else the next larger that was; ∞ beyond what was answered. */
  chart.percentile = ({ n, rank, ms }, share) => {
    const wanted = Math.max(1, Math.ceil(Number((share * n).toFixed(6))));
    let [low, high] = [0, rank.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rank[middle] >= wanted) high = middle;
      else low = middle + 1;
    }
    return low < rank.length ? ms[low] : Infinity;
  };
})();
