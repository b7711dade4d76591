"use strict";
// As much of a text as there is room for.

(() => {
  const MOST_KNOWN = 20000;

  /** Measures with the font that its pen has. */
  class FlameText {
    constructor(pen) {
      this.pen = pen;
      this._widths = new Map();
    }

    /** {text, width, isWhole}: the text, or its beginning with an ellipsis, no wider than `room` in CSS pixels. */
    fitting(text, room) {
      const width = this._width(text);
      if (width <= room) return { text, width, isWhole: true };
      let keep = Math.floor((text.length * room) / width);
      while (keep > 0 && this._width(`${text.slice(0, keep)}…`) > room) keep--;
      return { text: keep > 0 ? `${text.slice(0, keep)}…` : "", width: room, isWhole: false };
    }

    _width(text) {
      let width = this._widths.get(text);
      if (width === undefined) {
        if (this._widths.size > MOST_KNOWN) this._widths.clear();
        this._widths.set(text, (width = this.pen.measureText(text).width));
      }
      return width;
    }
  }

  Object.assign(window.mmload, { FlameText });
})();
