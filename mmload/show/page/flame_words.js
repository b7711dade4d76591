"use strict";
// Figures and sentences: how milliseconds, shares and differences are written, and what is said of a node.

(() => {
  const { WORD } = window.mmload;
  const MINUS = "\u2212";
  const NOTHING_MS = 5e-6; // what is less is written as 0, without a sign
  const UNITS = {
    cpu_ms_per_request: "ms CPU per request",
    cpu_ms_per_s: "ms CPU per second",
    wall_ms_per_request: "ms per request",
  };
  const WORDS = {
    [WORD.WITHIN_NOISE]: "within noise",
    [WORD.MORE]: "more",
    [WORD.LESS]: "less",
    [WORD.APPEARED]: "appeared",
    [WORD.VANISHED]: "vanished",
    [WORD.NOT_JUDGED]: "not judged",
  };
  const SIGNS = { [WORD.MORE]: "▲", [WORD.LESS]: "▼", [WORD.APPEARED]: "+", [WORD.VANISHED]: "×" };

  const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const count = (value) => grouped(String(Math.round(value)));

  /** Milliseconds; a microsecond is the last digit unless there is nothing but less. */
  const ms = (value) => {
    const size = Math.abs(value);
    const sign = value <= -NOTHING_MS ? MINUS : "";
    if (size >= 1000) return sign + count(size);
    const digits = size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.001 || size < NOTHING_MS ? 3 : 5;
    return sign + size.toFixed(digits);
  };
  const signedMs = (value) => (value >= NOTHING_MS ? "+" : "") + ms(value);
  const percent = (share) => `${(100 * share).toFixed(share >= 0.1 || share === 0 ? 1 : 2)} %`;
  const shareOf = (part, whole) => (whole ? percent(part / whole) : "–");

  /** What can be said of nodes of one tree. */
  class FlameWords {
    constructor(document, view, tree) {
      this.document = document;
      this.view = view;
      this.tree = tree;
      this.unit = UNITS[document.unit] || document.unit;
    }

    name(node) {
      const frame = this.tree.frame[node];
      return frame < 0 ? this.view.label : this.document.frames[frame].function;
    }

    /** What stands in a box: the name, and what became of it as a sign for those who do not see the colours. */
    label(node, longest) {
      const { tree } = this;
      const sign = tree.isDiff && node > 0 ? SIGNS[tree.word[node]] : "";
      const lead = node === tree.loopPlace ? "… › " : "";
      return `${sign ? `${sign} ` : ""}${lead}${window.mmload.shown(this.name(node), longest)}`;
    }

    place(node) {
      const frame = this.tree.frame[node];
      if (frame >= 0) return this.document.frames[frame].file;
      return this.view.about === this.view.label ? "" : this.view.about;
    }

    phase(node) {
      const main = this.tree.mainPhase(node);
      return main < 0 ? "several phases" : `phase ${this.document.phases[main]}`;
    }

    /** Rows of figures: [what, of this side] or [what, of this side, of the base, difference]. */
    figures(node) {
      const { tree } = this;
      const row = (what, column) => {
        const values = column.map((side) => side[node]);
        const texts = values.map(ms);
        return [what, ...texts, ...(tree.isDiff ? [signedMs(values[0] - values[1])] : [])];
      };
      const sides = (column, text) => column.map((side) => text(side[node], side[0]));
      return [
        row("total", tree.total),
        row("self", tree.own),
        ["share", ...sides(tree.total, shareOf)],
        ["samples", ...sides(tree.samples, count)],
      ];
    }

    word(node) {
      if (!this.tree.isDiff || node === 0) return "";
      const word = this.tree.word[node];
      return word === WORD.NOT_JUDGED && this.tree.isCut[node] ? `${WORDS[word]}: a part of it is hidden` : WORDS[word];
    }

    /** What a screen reader says of a node. */
    sentence(node) {
      const { tree, unit } = this;
      const [total, own, samples] = [tree.total, tree.own, tree.samples].map((column) => column[0][node]);
      const parts = [
        `total ${ms(total)} ${unit} (${shareOf(total, tree.total[0][0])})`,
        `self ${ms(own)}`,
        `${count(samples)} samples`,
      ];
      if (tree.isDiff) parts.push(`${signedMs(tree.difference(node))} against ${ms(tree.total[1][node])}`);
      if (this.word(node)) parts.push(this.word(node));
      if (node > 0) parts.unshift(this.phase(node));
      return parts.join(" · ");
    }
  }

  Object.assign(window.mmload, { FlameWords, words: { ms, signedMs, shareOf, count, WORDS, NOTHING_MS } });
})();
