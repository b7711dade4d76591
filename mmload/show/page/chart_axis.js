"use strict";
// The axis that all plots over time share: what one zooms, all zoom; where one is pointed at, all say their figures.

(() => {
  const FEWEST_BINS = 5;

  mmload.chart.TimeAxis = class TimeAxis {
    /** axes: of all runs, as in the page's data. */
    constructor(axes) {
      this.low = Math.min(...axes.map((one) => one.start_s));
      this.high = Math.max(...axes.map((one) => one.start_s + one.bins * one.bin_s));
      this.bin_s = Math.min(...axes.map((one) => one.bin_s));
      const measured = axes.flatMap((one) => one.phases.filter(([name]) => name === "measure"));
      this.measured = measured.length
        ? [Math.min(...measured.map((span) => span[1])), Math.max(...measured.map((span) => span[2]))]
        : null;
      this.point = null;
      this.listeners = [];
      [this.from, this.to] = [this.low, this.high];
    }

    get span() {
      return this.to - this.from;
    }

    get isWhole() {
      return this.from === this.low && this.to === this.high;
    }

    /** heard.zoomed(isStep) after each change of the stretch, heard.pointed() after each of the point. isStep: the point
     *  took the stretch along. */
    onChange(heard) {
      this.listeners.push(heard);
    }

    zoom(from, to, isStep = false) {
      const span = Math.min(Math.max(to - from, FEWEST_BINS * this.bin_s), this.high - this.low);
      this.from = Math.min(Math.max((from + to - span) / 2, this.low), this.high - span);
      this.to = this.from + span;
      this.listeners.forEach((heard) => heard.zoomed?.(isStep));
    }

    /** factor: of the stretch that is left, around a time. */
    zoomAround(t_s, factor) {
      this.zoom(t_s - (t_s - this.from) * factor, t_s + (this.to - t_s) * factor);
    }

    reset() {
      this.zoom(this.low, this.high);
    }

    /** t_s: null where nothing is pointed at. */
    pointAt(t_s) {
      this.point = t_s == null ? null : Math.min(Math.max(t_s, this.low), this.high);
      this.listeners.forEach((heard) => heard.pointed?.());
    }

    /** What the keys of a plot do; whether this one did anything. */
    key(key, shift) {
      const middle = this.point ?? (this.from + this.to) / 2;
      const step = shift ? this.span / 10 : this.bin_s;
      const does = {
        ArrowLeft: () => this.step(middle - step),
        ArrowRight: () => this.step(middle + step),
        "+": () => this.zoomAround(middle, 0.5),
        "=": () => this.zoomAround(middle, 0.5),
        "-": () => this.zoomAround(middle, 2),
        Escape: () => (this.isWhole ? this.pointAt(null) : this.reset()),
        Home: () => this.step(this.low),
        End: () => this.step(this.high - this.bin_s / 2),
      }[key];
      does?.();
      return Boolean(does);
    }

    /** The point moves, and the stretch with it where it would be left. */
    step(t_s) {
      const to = Math.min(Math.max(t_s, this.low + this.bin_s / 2), this.high - this.bin_s / 2);
      if (to < this.from) this.zoom(to, to + this.span, true);
      if (to > this.to) this.zoom(to - this.span, to, true);
      this.pointAt(to);
    }
  };
})();
