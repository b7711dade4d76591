"use strict";
// What every plot stands on: round ticks, figures as people read them, and the only way to make parts of a drawing.

(() => {
  const chart = (mmload.chart = {});
  const SVG = "http://www.w3.org/2000/svg";
  const ROUND = [1, 2, 2.5, 5, 10];
  const LEAST = 1e-3; // a logarithmic axis begins no lower
  const ROUND_TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400];

  /** An element of a drawing; children: elements, or one text. */
  chart.svg = (tag, attributes = {}, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value != null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  const multiples = (step, low, high) => {
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step || 0);
    return found;
  };

  /** Round numbers from low to high, about `wanted` of them. */
  chart.ticks = (low, high, wanted) => {
    const rough = (high - low) / wanted || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    return multiples(power * ROUND.find((step) => step * power >= rough * 0.999), low, high);
  };

  /** Round times in seconds; below a second as other numbers. */
  chart.timeTicks = (low, high, wanted) => {
    const rough = (high - low) / wanted;
    if (rough <= 1) return chart.ticks(low, high, wanted);
    const step = ROUND_TIMES.find((length) => length >= rough) ?? 86400 * Math.ceil(rough / 86400);
    return multiples(step, low, high);
  };

  /** The end of an axis from 0 that holds `most`. */
  chart.roundUp = (most) => {
    if (!(most > 0)) return 1;
    const [, step] = [...chart.ticks(0, most, 4), most];
    return Math.ceil((most * 1.02) / step) * step;
  };

  /** An axis that holds all `values`: from 0, or logarithmic, from the power of ten below the least above 0. */
  chart.Scale = class Scale {
    constructor(values, isLog) {
      this.isLog = isLog;
      this.high = chart.roundUp(values.reduce((most, value) => Math.max(most, value), 0));
      const least = values.reduce((least, value) => (value > 0 ? Math.min(least, value) : least), this.high / 10);
      this.low = isLog ? 10 ** Math.floor(Math.log10(Math.max(least, LEAST))) : 0;
    }

    /** The share of the axis that lies below a value. */
    place(value) {
      const { low, high } = this;
      return this.isLog ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : value / high;
    }

    /** Round values, about `wanted` of them. */
    levels(wanted) {
      if (!this.isLog) return chart.ticks(0, this.high, wanted);
      const decades = [];
      for (let decade = this.low; decade <= this.high; decade *= 10) decades.push(decade);
      const levels = decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]).filter((one) => one <= this.high);
      return levels.length <= 2 * wanted ? levels : decades;
    }
  };

  /** A number to three digits: 0.0412, 9.81, 142, 1,423. */
  chart.figure = (value) => {
    if (value == null || Number.isNaN(value)) return "–";
    if (value === "inf" || value === Infinity) return "∞";
    const size = Math.abs(value);
    const decimals = Number.isInteger(value) ? 0 : Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(size))));
    return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  };

  /** A number of an axis: no more digits than it needs. */
  chart.tick = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 6 });

  /** Seconds since the measure window began: 12 s, 2:05, 1:02:03. */
  chart.time = (t_s, span_s) => {
    const sign = t_s < 0 ? "−" : "";
    if (span_s < 120) return `${sign}${chart.tick(Math.round(Math.abs(t_s) * 100) / 100)} s`;
    const seconds = Math.round(Math.abs(t_s));
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const two = (part) => String(part).padStart(2, "0");
    const said = hours ? `${hours}:${two(minutes)}` : minutes;
    return `${seconds ? sign : ""}${said}:${two(seconds % 60)}`;
  };

  /** Things by their group, in order: [group, those of it]. */
  chart.grouped = (things) => {
    const groups = new Map();
    for (const one of things) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
    return [...groups];
  };

  /** What several say at a point: one figure, or from the least to the most. */
  chart.figures = (values) => {
    const known = values.filter((value) => value != null).map((value) => (value === "inf" ? Infinity : value));
    if (!known.length) return "–";
    const [least, most] = [Math.min(...known), Math.max(...known)].map(chart.figure);
    return least === most ? least : `${least} to ${most}`;
  };

  /** How many characters the longest figure of several runs' values has, or of one's; a little more does no harm. */
  chart.longestFigure = (columns) => {
    const most = columns.flat().reduce((most, value) => (value > most ? value : most), 0);
    const longest = Math.max("0.0123".length, chart.figure(most).length);
    return columns.length === 1 ? longest : 2 * longest + " to ".length;
  };

  /** A path through points, broken where there is none; a point alone is a dot. */
  chart.path = (points) => {
    let path = "";
    let pen = false;
    for (const point of points) {
      if (point) path += `${pen ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}${pen ? "" : "h0"}`;
      pen = Boolean(point);
    }
    return path;
  };
})();
