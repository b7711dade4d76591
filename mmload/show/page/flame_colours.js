"use strict";
// What a box is filled with: its phase, its package, or how its time differs from the base's.

(() => {
  const { WORD } = window.mmload;
  const PACKAGE_COLOURS = [
    "#5b8bc9", "#e39a4f", "#4fae9f", "#b884c4", "#a3b04a", "#d9849c", "#8f7a66", "#7b83d1", "#caa93e",
  ];
  const LEAST_STRENGTH = 0.25; // a real difference is seen, however small beside the largest

  const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const mix = (a, b, share) => a.map((one, i) => Math.round(one + (b[i] - one) * share));
  const css = (rgb) => `rgb(${rgb.join(" ")})`;
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((one) => (one /= 255) && (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  /** Colours of one document in the theme as it is now. */
  class FlameColours {
    constructor(document) {
      const variable = (name, otherwise) => parse(window.mmload.colour(name) || window.mmload.colour(otherwise));
      this.document = document;
      [this.ground, this.mixed, this.same, this.more, this.less, this.dark, this.light] = [
        "--ground", "--mixed", "--same", "--more", "--less", "--label-dark", "--label-light",
      ].map((name) => variable(name));
      const softened = window.mmload.theme.isDark ? [parse("#000000"), 0.12] : [parse("#ffffff"), 0.2];
      this.phases = document.phases.map((name) => mix(variable(`--phase-${name}`, "--phase-other"), ...softened));
      this.packages = packageColours(document, softened);
      [this.mark, this.line, this.outline] = ["--mark", "--line", "--ink"].map(window.mmload.colour);
      this.font = `11.5px ${window.mmload.colour("--text")}`;
      this._drawn = new Map();
    }

    /** Sets what fill() says. strongest: the difference in milliseconds that has the full colour. */
    use(mode, tree) {
      this.mode = mode;
      this.tree = tree;
      this.strongest = tree.isDiff ? largestDifference(tree) : 0;
      this._ofNode = new Array(tree.count);
    }

    /** {fill, faded, ink, fadedInk} of a node, as CSS. */
    of(node) {
      return (this._ofNode[node] ||= this._drawable(this._rgb(node)));
    }

    phase(index) {
      return css(this.phases[index]);
    }

    several() {
      return css(this.mixed);
    }

    package(name) {
      return css(this.packages.get(name) || this.mixed);
    }

    /** The colour of a difference in milliseconds. */
    differing(ms) {
      return css(this._differing(ms));
    }

    _rgb(node) {
      const { tree, mode, document } = this;
      const frame = tree.frame[node];
      if (frame < 0) return this.mixed;
      if (mode === "difference") return this._byWord(node);
      if (mode === "package") return shaded(this.packages.get(document.frames[frame].package) || this.mixed, frame);
      const phase = tree.mainPhase(node);
      return phase < 0 ? this.mixed : shaded(this.phases[phase], frame);
    }

    _byWord(node) {
      const word = this.tree.word[node];
      if (word === WORD.WITHIN_NOISE || word === WORD.NOT_JUDGED) return this.same;
      return this._differing(this.tree.difference(node));
    }

    _differing(ms) {
      if (ms === 0) return this.same;
      const strength = Math.min(1, Math.sqrt(Math.abs(ms) / (this.strongest || 1)));
      return mix(this.same, ms > 0 ? this.more : this.less, Math.max(LEAST_STRENGTH, strength));
    }

    _drawable(rgb) {
      const key = css(rgb);
      if (!this._drawn.has(key)) {
        const faded = mix(rgb, this.ground, 0.72);
        this._drawn.set(key, { fill: key, faded: css(faded), ink: this._ink(rgb), fadedInk: this._ink(faded) });
      }
      return this._drawn.get(key);
    }

    _ink(rgb) {
      const contrast = (one) => {
        const [high, low] = [luminance(one), luminance(rgb)].sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
      };
      return css(contrast(this.dark) >= contrast(this.light) ? this.dark : this.light);
    }
  }

  /** Neighbours of one colour are told apart by a shade of it, always the same for a function. */
  const shaded = (rgb, frame) => mix(rgb, [255, 255, 255], 0.07 * ((frame * 7) % 4));

  /** The packages with the most functions have colours of their own; the others share one. */
  const packageColours = (document, softened) => {
    const functions = new Map();
    for (const { package: name } of document.frames) if (name) functions.set(name, (functions.get(name) || 0) + 1);
    const largest = [...functions].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, PACKAGE_COLOURS.length);
    return new Map(largest.map(([name], i) => [name, mix(parse(PACKAGE_COLOURS[i]), ...softened)]));
  };

  /** Of the nodes whose difference is one. */
  const largestDifference = (tree) => {
    let largest = 0;
    for (let node = 1; node < tree.count; node++) {
      if (tree.word[node] === WORD.WITHIN_NOISE || tree.word[node] === WORD.NOT_JUDGED) continue;
      largest = Math.max(largest, Math.abs(tree.difference(node)));
    }
    return largest;
  };

  Object.assign(window.mmload, { FlameColours });
})();
