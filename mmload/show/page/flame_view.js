"use strict";
// A flame view: what is chosen (its state, which the link holds) on one side, what is seen of it on the other.

(() => {
  const { el, shown, words, steppedTo, widerThan, flameControls } = window.mmload;
  const { FlameTree, FlameWords, FlameColours, FlameStage, FlameTable } = window.mmload;
  const TYPED_INTO = "input:not([type=radio], [type=checkbox]), textarea, dialog";
  const NO_SAMPLES = "There are no samples.";

  /** Makes a value again only when what it is made of has changed. */
  const remembered = () => {
    let known = [], value;
    return (from, make) => {
      if (from.length !== known.length || from.some((one, i) => one !== known[i])) [known, value] = [from, make()];
      return value;
    };
  };

  class FlameView {
    /**
     * host: an empty element. document: a FlameDocument. options.key: this view's part of the link.
     * options.isWhole: / and ? work wherever the focus is, because nothing else is in the page.
     */
    constructor(host, document, { key = "flame", isWhole = false } = {}) {
      this.host = host;
      this.document = document;
      this.key = key;
      this.folds = window.mmload.foldsOf(document.frames);
      this._tree = remembered();
      this._layout = remembered();
      this._colours = remembered();
      this._search = remembered();
      this.focus = 0;
      this.state = window.mmload.stateOfLink(key, document);
      host.replaceChildren();
      if (!document.views.length) {
        host.append(el("p", { class: "flame-nothing" }, NO_SAMPLES));
        return;
      }
      this._build(isWhole);
      this.render();
      window.mmload.link.onChange(() => this._follow());
      window.mmload.theme.onChange(() => this.render());
    }

    /** Changes what is chosen. push: the back button undoes it. */
    set(changes, { push = false } = {}) {
      Object.assign(this.state, changes);
      this.render();
      window.mmload.linkOfState(this.key, this.state, this.document, { push });
    }

    // ---- what a test or another script may ask ----------------------------------------------------------------------

    /** The boxes as they are drawn now: [{node, x, y, width, height, fill, label, isMatch, name}]. */
    rectangles() {
      return this.stage.drawn.map((box) => ({ ...box, name: this.words.name(box.node) }));
    }

    nodeAt(x, y) {
      return this.stage.nodeAt(x, y);
    }

    zoomTo(node) {
      this.focus = node;
      this.set({ zoom: node > 0 ? String(this.tree.origin[node]) : "" }, { push: true });
    }

    // ---- from state to picture --------------------------------------------------------------------------------------

    render() {
      const { document, state } = this;
      const { theme, hiddenPhases, layOut, search } = window.mmload;
      const view = document.views.find((one) => one.id === state.view);
      const hidden = hiddenPhases(state, document.phases);
      const tree = this._tree([view, state.hide, state.loop, state.recursion], () => this._treeOf(view, hidden));
      const layout = this._layout([tree, state.width], () => layOut(tree, state.width));
      const colours = this._colours([theme.isDark], () => new FlameColours(document));
      if (colours.tree !== tree || colours.mode !== state.colour) colours.use(state.colour, tree);
      const found = this._search([state.find], () => search(document.frames, state.find));
      const zoom = this._zoomed(tree, layout);
      const isNew = this.tree !== tree;
      if (isNew) [this.tree, this.words, this.focus] = [tree, new FlameWords(document, view, tree), zoom];
      const { words: say, focus } = this;
      const { shape } = state;
      const { matches } = found;
      this.scene = { document, view, state, hidden, tree, layout, colours, words: say, matches, shape, zoom, focus };
      this.stage.show(this.scene, isNew);
      this._showAround(found);
    }

    _treeOf(view, hidden) {
      const { document, state } = this;
      return new FlameTree(view.nodes, {
        isDiff: document.base !== null,
        phases: document.phases.length,
        folds: this.folds,
        hidden,
        recursion: state.recursion === "folded",
        loop: state.loop === "folded",
      });
    }

    /** The node that the state zooms to; everything where there is no such node, or nothing left of it. */
    _zoomed(tree, layout) {
      const node = this.state.zoom === "" ? 0 : Math.max(0, tree.placeOf[Number(this.state.zoom)] ?? 0);
      return layout.width[node] > 0 ? node : 0;
    }

    _showAround(found) {
      const { state, scene } = this;
      this.tabs.show(state.view);
      for (const [name, choice] of Object.entries(this.choices)) choice.show(state[name]);
      const wrong = found.error && `Not a regular expression: ${found.error}`;
      this.searchField.show(state.find, this._foundText(found.matches), wrong);
      this.legend.replaceChildren(...window.mmload.flameLegend(scene, (phase) => this._toggle(phase)));
      this.out.disabled = scene.zoom === 0;
      this.nothing.hidden = scene.tree.count > 1;
      this.nothing.textContent = state.hide ? "Every phase with samples is hidden." : NO_SAMPLES;
      this._say();
      this.table.show(scene);
    }

    _foundText(matches) {
      if (!matches) return "";
      const { functions, time } = window.mmload.matchedIn(this.scene.view.nodes, matches, this.scene.hidden);
      const inSight = new Set(this.tree.frame);
      const folded = [...functions].filter((frame) => !inSight.has(frame)).length;
      const whole = this.tree.total.map((column) => column[0]);
      const of = (ms, side) => `${words.ms(ms)} ${this.words.unit} · ${words.shareOf(ms, whole[side])}`;
      const [here, base] = time.map(of);
      const count = `${words.count(functions.size)} function${functions.size === 1 ? "" : "s"}`;
      const text = `${count}${folded ? ` (${words.count(folded)} folded away)` : ""} · ${here}`;
      return base === undefined ? text : `${text} · base ${base}`;
    }

    /** The line about the node that has the focus. */
    _say() {
      const { words: say, focus } = this;
      this.detail.replaceChildren(
        el("strong", {}, shown(say.name(focus), 200)),
        el("span", { class: "flame-file" }, shown(say.place(focus), 200)),
        el("span", {}, say.sentence(focus)),
      );
    }

    // ---- what a person does -----------------------------------------------------------------------------------------

    _toggle(phase) {
      const name = this.document.phases[phase];
      const hidden = this.state.hide.split(",").filter(Boolean);
      const hide = hidden.includes(name) ? hidden.filter((one) => one !== name) : [...hidden, name];
      this.set({ hide: hide.join(",") });
      this.legend.querySelectorAll("[data-phase]").forEach((button) => button.dataset.phase === name && button.focus());
    }

    /** Another view, at the same path as far as it has it. */
    _turnTo(id) {
      const path = this.tree.path(this.scene.zoom).map((node) => this.tree.frame[node]);
      Object.assign(this.state, { view: id, zoom: "" });
      this.render();
      let node = 0;
      for (const frame of path) {
        const next = this.tree.kids(node).find((kid) => this.tree.frame[kid] === frame);
        if (next === undefined) break;
        node = next;
      }
      this.focus = node;
      this.set({ zoom: node > 0 ? String(this.tree.origin[node]) : "" }, { push: true });
    }

    _focusOn(node) {
      this.focus = node;
      this.scene.focus = node;
      this.stage.reveal(node);
      this.stage.draw();
      this._say();
    }

    _key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const out = () => this.zoomTo(widerThan(this.scene, this.scene.zoom));
      const walk = () => this._focusOn(steppedTo(this.scene, this.focus, event.key));
      const does = {
        Enter: () => this.zoomTo(this.focus),
        Escape: out,
        Backspace: out,
        Home: () => this.zoomTo(0),
        ArrowUp: walk,
        ArrowDown: walk,
        ArrowLeft: walk,
        ArrowRight: walk,
      }[event.key];
      if (!does) return;
      event.preventDefault();
      does();
    }

    _anywhere(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(TYPED_INTO)) return;
      if (event.key !== "/" && event.key !== "?") return;
      event.preventDefault();
      if (event.key === "/") this.searchField.input.focus();
      else this.help.showModal();
    }

    /** The link changed: back, forward, or another one was opened here. */
    _follow() {
      this.state = window.mmload.stateOfLink(this.key, this.document);
      this.render();
    }

    // ---- the parts --------------------------------------------------------------------------------------------------

    _build(isWhole) {
      const { document, host, key } = this;
      const panel = `${key}-panel`;
      this._buildStage();
      this.tabs = flameControls.tabs(document.views, panel, (id) => this._turnTo(id));
      this.searchField = flameControls.searchField((find) => this.set({ find }));
      this.help = flameControls.help();
      this.choices = this._buildChoices();
      this.legend = el("div", { class: "flame-legend" });
      this.table = new FlameTable({
        find: (find) => this.set({ find: find === this.state.find ? "" : find }),
        set: (changes) => this.set(changes),
      }, isWhole ? "h2" : "h3");
      this.out = el("button", { type: "button", click: () => this.zoomTo(0) }, "Zoom out");
      const openHelp = () => this.help.showModal();
      const ask = el("button", { type: "button", class: "quiet", "aria-label": "Help", click: openHelp }, "?");
      const choices = Object.values(this.choices).map((choice) => choice.root);
      const { input, found } = this.searchField;
      const toolbar = el("div", { class: "flame-toolbar" }, input, ...choices, this.out, ask, found);
      const shows = [this.stage.root, this.nothing, this.detail];
      const picture = el("div", { id: panel, role: "tabpanel", class: "flame-picture" }, ...shows);
      const notes = document.notes.map((note) => el("li", {}, shown(note, 1000)));
      if (notes.length) host.append(el("ul", { class: "flame-notes" }, ...notes));
      host.append(this.tabs.root, toolbar, this.legend, picture, this.table.root, this.tooltip.root, this.help);
      (isWhole ? window : host).addEventListener("keydown", (event) => this._anywhere(event));
    }

    _buildStage() {
      this.tooltip = flameControls.tooltip();
      this.detail = el("p", { class: "flame-detail", id: `${this.key}-detail`, "aria-live": "polite" });
      this.nothing = el("p", { class: "flame-nothing", hidden: true });
      this.stage = new FlameStage({
        point: (node, event) => this.tooltip.show(this.words, node, event),
        leave: () => this.tooltip.hide(),
        click: (node) => {
          this.tooltip.hide();
          this.zoomTo(node);
        },
        key: (event) => this._key(event),
      });
      const about = "functions as boxes, as wide as their time. The table below holds the same.";
      this.stage.canvas.setAttribute("aria-label", `${shown(this.document.title)}: ${about}`);
      this.stage.canvas.setAttribute("aria-describedby", this.detail.id);
    }

    _buildChoices() {
      const isDiff = this.document.base !== null;
      const chosen = (name) => (value) => this.set({ [name]: value });
      const { choice, fold } = flameControls;
      const colours = { phase: "phase", package: "package", ...(isDiff && { difference: "difference" }) };
      const widths = { this: "this", base: "base", larger: "larger" };
      const loop = "What leads to the event loop as one box; what only hands on, as decorators do, in its caller";
      return {
        colour: choice("Colour", colours, chosen("colour")),
        shape: choice("Roots", { icicle: "top", flame: "bottom" }, chosen("shape")),
        ...(isDiff && { width: choice("Width", widths, chosen("width")) }),
        loop: fold("fold boilerplate", loop, chosen("loop")),
        recursion: fold("fold recursion", "A function that calls itself as one box", chosen("recursion")),
      };
    }
  }

  Object.assign(window.mmload, { FlameView });
})();
