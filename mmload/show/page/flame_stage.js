"use strict";
// The picture: boxes on a canvas as large as what is in sight, however deep the stacks are.

(() => {
  const { el, shown, nodeAt, FlameText } = window.mmload;
  const ROW_PX = 19;
  const GAP_PX = 1;
  const LEAST_PX = 0.5; // narrower boxes are drawn as one
  const EDGE_PX = 0.01; // what rounding leaves of a neighbour is not seen
  const LEAST_LABEL_PX = 26;
  const PAD_PX = 4;
  const MARK_PX = 3; // below what was found
  const TALLEST = 0.62; // of the window
  const LEAST_ROWS = 8; // in sight, however low the window
  const PAPER_PX = 8000; // a canvas has an end
  const ROWS_ABOVE = 2; // in sight above what was zoomed to
  const ZOOM_MS = 160;
  const LABEL = 160; // characters; no box shows more

  class FlameStage {
    /** events: {point(node, event), leave(), click(node), key(event)}. */
    constructor(events) {
      this.canvas = el("canvas", { tabindex: "0", role: "application", "aria-roledescription": "flame graph" });
      this.sizer = el("div", { class: "flame-sizer" }, this.canvas);
      this.root = el("div", { class: "flame-stage" }, this.sizer);
      this.pen = this.canvas.getContext("2d");
      this.drawn = []; // boxes as they are drawn now
      this.hovered = -1;
      this.text = new FlameText(this.pen);
      this._listen(events);
    }

    /** scene: {tree, layout, colours, words, matches, shape, zoom, focus}. isNew: another tree, so nothing moves. */
    show(scene, isNew) {
      const before = this.scene;
      this.scene = scene;
      if (isNew) this.hovered = -1;
      const from = scene.layout.left[scene.zoom], to = from + scene.layout.width[scene.zoom];
      const isThere = !isNew && before && ["zoom", "layout", "shape"].every((name) => before[name] === scene[name]);
      this._size();
      if (!isThere) this._bring(scene.layout.depth[scene.zoom]);
      if (isNew || !this.range || before.layout !== scene.layout) this._jump(from, to);
      else this._glide(from, to);
    }

    /** Scrolls so that a node's row is in sight. */
    reveal(node) {
      const top = this._top(this.scene.layout.depth[node]);
      const { scrollTop, clientHeight } = this.root;
      if (top < scrollTop) this.root.scrollTop = top;
      else if (top + ROW_PX > scrollTop + clientHeight) this.root.scrollTop = top + ROW_PX - clientHeight;
    }

    /** The node at a place of the canvas in CSS pixels, -1 where there is none. */
    nodeAt(x, y) {
      const { tree, layout, shape } = this.scene;
      const row = Math.floor((y + this.root.scrollTop) / ROW_PX);
      const depth = shape === "icicle" ? row : this.rows - 1 - row;
      if (depth < 0 || depth >= this.rows) return -1;
      return nodeAt(tree, layout, depth, this.range.from + (x / this.width) * (this.range.to - this.range.from));
    }

    draw() {
      if (!this.scene || !this.width) return;
      const { canvas, pen, width, height } = this;
      const ratio = (this.ratio = window.devicePixelRatio || 1);
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.font = this.scene.colours.font;
      pen.textBaseline = "middle";
      this.drawn = [];
      this._boxes();
      this._outline(this.hovered, 1);
      if (this.scene.focus > 0 || document.activeElement === this.canvas) this._outline(this.scene.focus, 2);
    }

    // ---- where things lie -------------------------------------------------------------------------------------------

    _top(depth) {
      return (this.scene.shape === "icicle" ? depth : this.rows - 1 - depth) * ROW_PX;
    }

    _size() {
      this.rows = this.scene.layout.deepest + 1;
      const content = this.rows * ROW_PX;
      const tallest = Math.max(LEAST_ROWS * ROW_PX, Math.round(window.innerHeight * TALLEST));
      this.height = Math.min(content, this.printing ? PAPER_PX : tallest);
      this.root.style.height = `${this.height}px`;
      this.sizer.style.height = `${content}px`;
      this.canvas.style.height = `${this.height}px`;
      this.width = this.root.clientWidth; // a scroll bar may have come
    }

    _bring(depth) {
      const above = this.scene.shape === "icicle" ? -ROWS_ABOVE * ROW_PX : (ROWS_ABOVE + 1) * ROW_PX - this.height;
      this.root.scrollTop = this._top(depth) + above;
    }

    _jump(from, to) {
      cancelAnimationFrame(this._frame);
      this.range = { from, to };
      this.draw();
    }

    _glide(from, to) {
      cancelAnimationFrame(this._frame);
      const start = this.range;
      const isThere = start.from === from && start.to === to;
      if (isThere || window.matchMedia("(prefers-reduced-motion: reduce)").matches) return this._jump(from, to);
      let began = null;
      const step = (now) => {
        began ??= now;
        const done = Math.min(1, (now - began) / ZOOM_MS);
        const eased = 1 - (1 - done) ** 3;
        this.range = { from: start.from + (from - start.from) * eased, to: start.to + (to - start.to) * eased };
        this.draw();
        if (done < 1) this._frame = requestAnimationFrame(step);
      };
      this._frame = requestAnimationFrame(step);
    }

    // ---- drawing ----------------------------------------------------------------------------------------------------

    /** All boxes in sight, parents before their children; what is too narrow beside each other becomes one. */
    _boxes() {
      const { tree, layout } = this.scene;
      const scale = this.width / (this.range.to - this.range.from || 1);
      const stack = [0];
      this._box(0, 0, this.width);
      while (stack.length) {
        const node = stack.pop();
        if (this._isBeyond(layout.depth[node] + 1)) continue;
        let narrow = 0, narrowTo = 0;
        const flush = () => {
          if (narrowTo - narrow >= LEAST_PX) this._narrow(layout.depth[node] + 1, narrow, narrowTo);
          narrow = narrowTo = 0;
        };
        for (let k = tree.kidStart[node]; k < tree.kidStart[node + 1]; k++) {
          const kid = tree.kidList[k];
          const wide = layout.width[kid] * scale;
          const left = (layout.left[kid] - this.range.from) * scale;
          if (left >= this.width - EDGE_PX) break;
          if (left + wide <= EDGE_PX || wide === 0) continue;
          if (wide < LEAST_PX) {
            if (!narrowTo) narrow = left;
            narrowTo = left + wide;
            continue;
          }
          flush();
          this._box(kid, Math.max(0, left), Math.min(this.width, left + wide));
          stack.push(kid);
        }
        flush();
      }
    }

    /** Whether the rows from a depth on are out of sight. */
    _isBeyond(depth) {
      const y = this._top(depth) - this.root.scrollTop;
      return this.scene.shape === "icicle" ? y >= this.height : y + ROW_PX <= 0;
    }

    _box(node, left, right) {
      const { tree, layout, colours, matches, zoom } = this.scene;
      const y = this._top(layout.depth[node]) - this.root.scrollTop;
      if (y + ROW_PX <= 0 || y >= this.height) return;
      const isMatch = matches !== null && tree.frame[node] >= 0 && matches[tree.frame[node]] === 1;
      const isFaded = (matches !== null && !isMatch) || (layout.depth[node] < layout.depth[zoom] && !isMatch);
      const colour = colours.of(node);
      const [fill, ink] = isFaded ? [colour.faded, colour.fadedInk] : [colour.fill, colour.ink];
      const wide = Math.max(LEAST_PX, right - left - (right - left > 3 ? GAP_PX : 0));
      this._fill(fill, left, y, wide, ROW_PX - GAP_PX);
      if (isMatch) this._fill(this.scene.colours.mark, left, y + ROW_PX - GAP_PX - MARK_PX, wide, MARK_PX);
      const label = wide < LEAST_LABEL_PX ? "" : this._label(node, left, y, wide, ink);
      this.drawn.push({ node, x: left, y, width: wide, height: ROW_PX - GAP_PX, fill, label, isMatch });
    }

    _narrow(depth, left, right) {
      const y = this._top(depth) - this.root.scrollTop;
      if (y + ROW_PX <= 0 || y >= this.height) return;
      const [from, to] = [Math.max(0, left), Math.min(this.width, right)];
      this._fill(this.scene.colours.line, from, y, to - from, ROW_PX - GAP_PX);
    }

    /** Fills whole pixels of the screen: sharper, and faster, than parts of them. */
    _fill(colour, left, top, wide, high) {
      const { pen, ratio } = this;
      const from = Math.round(left * ratio), to = Math.max(from + 1, Math.round((left + wide) * ratio));
      pen.fillStyle = colour;
      pen.fillRect(from / ratio, top, (to - from) / ratio, high);
    }

    /** Writes as much of a name as there is room for, then the file; returns what it wrote of the name. */
    _label(node, left, y, wide, ink) {
      const { pen } = this;
      const room = wide - 2 * PAD_PX, middle = y + (ROW_PX - GAP_PX) / 2 + 0.5;
      const name = this.text.fitting(this.scene.words.label(node, LABEL), room);
      pen.fillStyle = ink;
      pen.fillText(name.text, left + PAD_PX, middle);
      const rest = room - name.width - 10;
      const place = name.isWhole && rest > 60 ? this.text.fitting(shown(this.scene.words.place(node), LABEL), rest) : null;
      if (place?.isWhole) {
        pen.fillText(place.text, left + PAD_PX + name.width + 10, middle);
      }
      return name.text;
    }

    _outline(node, thick) {
      const box = node >= 0 && this.drawn.find((one) => one.node === node);
      if (!box) return;
      this.pen.strokeStyle = this.scene.colours.outline;
      this.pen.lineWidth = thick;
      this.pen.strokeRect(box.x + thick / 2, box.y + thick / 2, Math.max(thick, box.width - thick), box.height - thick);
    }

    // ---- events -----------------------------------------------------------------------------------------------------

    _listen(events) {
      const at = (event) => {
        const box = this.canvas.getBoundingClientRect();
        return this.nodeAt(event.clientX - box.left, event.clientY - box.top);
      };
      const hover = (node) => {
        if (node === this.hovered) return;
        this.hovered = node;
        this.canvas.style.cursor = node >= 0 ? "pointer" : "default";
        this.draw();
      };
      this.canvas.addEventListener("pointermove", (event) => {
        const node = at(event);
        hover(node);
        if (node >= 0 && event.pointerType === "mouse") events.point(node, event);
        else events.leave();
      });
      this.canvas.addEventListener("pointerleave", () => (hover(-1), events.leave()));
      this.canvas.addEventListener("click", (event) => {
        const node = at(event);
        if (node >= 0) events.click(node);
      });
      this.canvas.addEventListener("keydown", events.key);
      for (const name of ["focus", "blur"]) this.canvas.addEventListener(name, () => this.draw());
      this.root.addEventListener("scroll", () => this.draw());
      new ResizeObserver(() => this._resized()).observe(this.root);
      window.addEventListener("beforeprint", () => this._print(true));
      window.addEventListener("afterprint", () => this._print(false));
    }

    _resized() {
      if (!this.scene || this.root.clientWidth === this.width) return;
      this._size();
      this.draw();
    }

    /** On paper the whole height is there. */
    _print(printing) {
      this.printing = printing;
      if (!this.scene) return;
      this._size();
      this.draw();
    }
  }

  Object.assign(window.mmload, { FlameStage });
})();
