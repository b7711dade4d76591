"use strict";
// The picture as text: functions with their time, and what differs between the two sides, with its noise.

(() => {
  const { el, shown, breakable, words, functionsUnder, exactly, flameControls } = window.mmload;
  const AT_FIRST = 12; // rows; the rest comes when it is asked for
  const NOISE = "within noise";
  const BEYOND_NOISE = 1e9; // ms: sorted by size, a difference comes before all that may be none
  const OF_TEXT = new Set(["word", "function"]); // sorted from A on; figures from the largest on

  // A column: name (in the link), title, value (to sort by), text (as shown).

  const functionColumns = (scene) => {
    const whole = scene.tree.total[0][scene.zoom];
    const columns = [
      { name: "self", title: "self ms", value: (row) => row.own[0], text: (row) => words.ms(row.own[0]) },
      { name: "total", title: "total ms", value: (row) => row.total[0], text: (row) => words.ms(row.total[0]) },
      { name: "share", title: "share", value: (row) => row.total[0], text: (row) => words.shareOf(row.total[0], whole) },
      { name: "samples", title: "samples", value: (row) => row.samples[0], text: (row) => words.count(row.samples[0]) },
    ];
    if (!scene.tree.isDiff) return columns;
    const base = (row) => row.total[1];
    columns.splice(2, 0, { name: "base", title: "base total ms", value: base, text: (row) => words.ms(base(row)) });
    return columns;
  };

  /** own: of the function alone, or else with what it called. */
  const changeColumns = (own) => {
    const [this_, base, low, high, word] = own
      ? ["own_ms", "base_own_ms", "own_low_ms", "own_high_ms", "own_word"]
      : ["total_ms", "base_total_ms", "low_ms", "high_ms", "word"];
    const of = own ? "self" : "total";
    const difference = (row) => row[this_] - row[base];
    const size = (row) => Math.abs(difference(row)) + (row[word] === NOISE ? 0 : BEYOND_NOISE);
    const bounds = (row) => `${words.signedMs(row[low])} to ${words.signedMs(row[high])}`;
    return [
      { name: "difference", title: "difference ms", value: size, text: (row) => words.signedMs(difference(row)) },
      { name: "bounds", title: "99 % bounds", value: (row) => row[low], text: bounds },
      { name: "word", title: "change", value: (row) => row[word], text: (row) => row[word] },
      { name: "this", title: `${of} ms`, value: (row) => row[this_], text: (row) => words.ms(row[this_]) },
      { name: "base", title: `base ${of} ms`, value: (row) => row[base], text: (row) => words.ms(row[base]) },
    ];
  };

  class FlameTable {
    /** events: {find(text), set(changes of the state)}. */
    constructor(events) {
      this.events = events;
      this.root = el("div", { class: "flame-table" });
      this.limit = AT_FIRST;
      this.word = ""; // of the differences: only those
      const { choice } = flameControls;
      const turn = (table) => events.set({ table, sort: "" });
      this.tableChoice = choice("Show", { differences: "differences", functions: "functions" }, turn);
      this.ofChoice = choice("of", { self: "self", total: "total" }, (of) => events.set({ of }));
    }

    /** scene: {document, view, tree, zoom, state, words, matches}. */
    show(scene) {
      if (this.scene?.tree !== scene.tree || this.scene.zoom !== scene.zoom) {
        this.limit = AT_FIRST;
        this.functions = null;
      }
      this.scene = scene;
      const isChanges = scene.state.table === "differences";
      const rows = isChanges ? this._changes() : (this.functions ??= functionsUnder(scene.tree, scene.zoom));
      const columns = isChanges ? changeColumns(scene.state.of === "self") : functionColumns(scene);
      const parts = [this._head(isChanges), this._table(rows, columns, isChanges), this._more(rows.length)];
      this.root.replaceChildren(...parts.filter((part) => part !== null));
    }

    _changes() {
      return this.scene.view.changes.filter((change) => !this.word || this._wordOf(change) === this.word);
    }

    _wordOf(change) {
      return this.scene.state.of === "self" ? change.own_word : change.word;
    }

    _head(isChanges) {
      const { scene } = this;
      const where = isChanges || scene.zoom === 0 ? shown(scene.view.label, 80) : shown(scene.words.name(scene.zoom), 80);
      const inWhat = el("span", { class: "flame-where" }, ` in ${where}, ${scene.words.unit}`);
      const title = el("h3", {}, isChanges ? "Differences" : "Functions", inWhat);
      if (!scene.tree.isDiff) return el("div", { class: "flame-table-head" }, title);
      const { table, of } = scene.state;
      this.tableChoice.show(table);
      this.ofChoice.show(of);
      const parts = isChanges ? [this.ofChoice.root, this._wordButtons()] : [];
      return el("div", { class: "flame-table-head" }, title, this.tableChoice.root, ...parts);
    }

    /** How many functions there are of each word; a button leaves only those. */
    _wordButtons() {
      const { changes } = this.scene.view;
      const choose = (word) => {
        this.word = this.word === word ? "" : word;
        this.limit = AT_FIRST;
        this.show(this.scene);
      };
      const buttons = ["more", "less", "appeared", "vanished", NOISE].map((word) => {
        const count = changes.filter((change) => this._wordOf(change) === word).length;
        const attributes = {
          type: "button",
          class: "flame-chip",
          disabled: count === 0,
          "aria-pressed": String(this.word === word),
          click: () => choose(word),
        };
        return el("button", attributes, word, el("span", { class: "flame-chip-figure" }, words.count(count)));
      });
      return el("div", { class: "flame-chips", role: "group", "aria-label": "Only those that are" }, ...buttons);
    }

    _table(rows, columns, isChanges) {
      const { frames } = this.scene.document;
      const nameOf = { name: "function", title: "function", value: (row) => frames[row.frame].function };
      const { column, isDown } = this._order([nameOf, ...columns], isChanges ? "difference" : "self");
      const sorted = rows.map((row) => ({ row, by: column.value(row) }));
      sorted.sort((a, b) => (a.by < b.by ? -1 : a.by > b.by ? 1 : 0) * (isDown ? -1 : 1) || a.row.frame - b.row.frame);
      const head = [nameOf, ...columns].map((one) => this._heading(one, one === column ? isDown : null));
      const body = sorted.slice(0, this.limit).map(({ row }) => this._row(row, frames[row.frame], columns));
      if (!body.length) body.push(el("tr", {}, el("td", { class: "flame-text", colspan: head.length }, "None.")));
      const what = `${isChanges ? "Differences" : "Functions"} in ${this.scene.words.unit}`;
      const caption = el("caption", { class: "unseen" }, what);
      const table = el("table", {}, caption, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
      return el("div", { class: "flame-table-scroll", tabindex: "0", role: "region", "aria-label": "Table" }, table);
    }

    /** The column that the rows are sorted by, and whether the largest comes first. */
    _order(columns, usual) {
      const chosen = this.scene.state.sort || usual;
      const name = chosen.replace(/^-/, "");
      const column = columns.find((one) => one.name === name) || columns.find((one) => one.name === usual);
      const isDown = !OF_TEXT.has(column.name) !== (column.name === name && chosen.startsWith("-"));
      return { column, isDown };
    }

    _heading({ name, title }, isDown) {
      const sort = () => {
        const isTurned = isDown !== null && !this.scene.state.sort.startsWith("-");
        this.events.set({ sort: isTurned ? `-${name}` : name });
        this.root.querySelector(`[data-sort="${name}"]`).focus();
      };
      const order = isDown === null ? "none" : isDown ? "descending" : "ascending";
      const arrow = isDown === null ? "" : isDown ? " ↓" : " ↑";
      const button = el("button", { type: "button", "data-sort": name, click: sort }, `${title}${arrow}`);
      return el("th", { scope: "col", "aria-sort": order, class: OF_TEXT.has(name) ? "flame-text" : null }, button);
    }

    _row(row, frame, columns) {
      const isFound = this.scene.matches !== null && this.scene.matches[row.frame] === 1;
      const find = () => this.events.find(exactly(frame));
      const press = { type: "button", class: "flame-name", title: "Find it above" };
      const name = el("button", press, ...breakable(shown(frame.function)));
      const file = el("span", { class: "flame-file" }, ...breakable(shown(frame.file)));
      const cells = columns.map((column) => {
        const kind = column.name === "word" ? `flame-text flame-word-${column.value(row).replace(" ", "-")}` : null;
        return el("td", { class: kind }, column.text(row));
      });
      const first = el("th", { scope: "row" }, name, file);
      return el("tr", { class: isFound ? "flame-found" : null, click: find }, first, ...cells);
    }

    _more(count) {
      if (count <= this.limit) return null;
      const more = () => {
        this.limit = this.limit * 5;
        this.show(this.scene);
      };
      const text = `Show more: ${words.count(this.limit)} of ${words.count(count)}`;
      return el("button", { type: "button", class: "quiet flame-more", click: more }, text);
    }
  }

  Object.assign(window.mmload, { FlameTable });
})();
