"use strict";
// The picture as text: functions with their time, and what differs between the two sides, with its noise.

(() => {
  const { WORD, el, shown, breakable, words, exactly, flameControls, flameTableOf } = window.mmload;
  const AT_FIRST = 12; // rows; the rest comes when it is asked for
  const OF_TEXT = new Set(["word", "function"]); // sorted from A on; figures from the largest on
  const RARE = words.WORDS[WORD.NOT_JUDGED]; // has a button only where there is one

  class FlameTable {
    /** events: {find(text), set(changes of the state)}. heading: the tag of its title. */
    constructor(events, heading) {
      this.events = events;
      this.heading = heading;
      this.root = el("div", { class: "flame-table" });
      this.limit = AT_FIRST;
      const { choice } = flameControls;
      const turn = (table) => events.set({ table, sort: "" });
      this.tableChoice = choice("Show", { differences: "differences", functions: "functions" }, turn);
      this.ofChoice = choice("of", { self: "self", total: "total" }, (of) => events.set({ of }));
    }

    /** scene: {document, view, tree, zoom, hidden, state, words, matches}. */
    show(scene) {
      const { tree, zoom, state } = scene;
      const from = [tree, zoom, state.table, state.of, state.only];
      if (from.some((one, i) => one !== this.from?.[i])) {
        this.from = from;
        this.limit = AT_FIRST;
        this.content = flameTableOf(scene);
      }
      this.scene = scene;
      const { rows, note, counts } = this.content;
      const active = this.root.contains(document.activeElement) ? document.activeElement : null;
      const noted = note && el("p", { class: "flame-note" }, note);
      const parts = [this._head(counts), noted, this._table(), this._more(rows.length)];
      this.root.replaceChildren(...parts.filter(Boolean));
      if (active) this._focusAgain(active);
    }

    /** What had the focus is made anew with every change: its successor has the same key. */
    _focusAgain(active) {
      const { key } = active.dataset;
      const again = key ? this.root.querySelector(`[data-key="${key}"]`) : active;
      again?.focus({ preventScroll: true });
    }

    _head(counts) {
      const { scene } = this;
      const isWhole = counts !== null || scene.zoom === 0;
      const where = shown(isWhole ? scene.view.label : scene.words.name(scene.zoom), 80);
      const inWhat = el("span", { class: "flame-where" }, ` in ${where}, ${scene.words.unit}`);
      const title = el(this.heading, {}, counts ? "Differences" : "Functions", inWhat);
      if (!scene.tree.isDiff) return el("div", { class: "flame-table-head" }, title);
      const { table, of } = scene.state;
      this.tableChoice.show(table);
      this.ofChoice.show(of);
      const parts = counts ? [this.ofChoice.root, this._wordButtons(counts)] : [];
      return el("div", { class: "flame-table-head" }, title, this.tableChoice.root, ...parts);
    }

    /** How many functions there are of each word; a button leaves only those. */
    _wordButtons(counts) {
      const { only } = this.scene.state;
      const asked = counts.filter(([word, count]) => word !== RARE || count > 0 || only === word);
      const buttons = asked.map(([word, count]) => {
        const attributes = {
          type: "button",
          class: "flame-chip",
          "data-key": `only ${word}`,
          disabled: count === 0 && only !== word,
          "aria-pressed": String(only === word),
          click: () => this.events.set({ only: only === word ? "" : word }),
        };
        return el("button", attributes, word, el("span", { class: "flame-chip-figure" }, words.count(count)));
      });
      return el("div", { class: "flame-chips", role: "group", "aria-label": "Only those that are" }, ...buttons);
    }

    _table() {
      const { frames } = this.scene.document;
      const { rows, counts } = this.content;
      const name = { name: "function", title: "function", value: (row) => frames[row.frame].function };
      const columns = [name, ...this.content.columns];
      const { column, isDown } = this._order(columns, counts ? "difference" : "self");
      const sorted = rows.map((row) => ({ row, by: column.value(row) }));
      sorted.sort((a, b) => (a.by < b.by ? -1 : a.by > b.by ? 1 : 0) * (isDown ? -1 : 1) || a.row.frame - b.row.frame);
      const head = columns.map((one) => this._heading(one, one === column ? isDown : null));
      const body = sorted.slice(0, this.limit).map(({ row }) => this._row(row, frames[row.frame]));
      if (!body.length) body.push(el("tr", {}, el("td", { class: "flame-text", colspan: head.length }, "None.")));
      const what = `${counts ? "Differences" : "Functions"} in ${this.scene.words.unit}`;
      const caption = el("caption", { class: "unseen" }, what);
      const table = el("table", {}, caption, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
      const scrolled = { class: "flame-table-scroll", "data-key": "table", tabindex: "0", role: "region" };
      return el("div", { ...scrolled, "aria-label": "Table" }, table);
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
      };
      const order = isDown === null ? "none" : isDown ? "descending" : "ascending";
      const arrow = isDown === null ? "" : isDown ? " ↓" : " ↑";
      const button = el("button", { type: "button", "data-key": `sort ${name}`, click: sort }, `${title}${arrow}`);
      return el("th", { scope: "col", "aria-sort": order, class: OF_TEXT.has(name) ? "flame-text" : null }, button);
    }

    _row(row, frame) {
      const isFound = this.scene.matches !== null && this.scene.matches[row.frame] === 1;
      const find = () => this.events.find(exactly(frame));
      const press = { type: "button", class: "flame-name", title: "Find it above", "data-key": `find ${row.frame}` };
      const name = el("button", { ...press, click: find }, ...breakable(shown(frame.function)));
      const file = el("span", { class: "flame-file" }, ...breakable(shown(frame.file)));
      const cells = this.content.columns.map((column) => {
        const kind = column.name === "word" ? `flame-text flame-word-${column.value(row).replace(" ", "-")}` : null;
        return el("td", { class: kind }, column.text(row));
      });
      const first = el("th", { scope: "row" }, name, file);
      return el("tr", { class: isFound ? "flame-found" : null }, first, ...cells);
    }

    _more(count) {
      const { limit } = this;
      if (count <= limit) return null;
      const more = () => {
        this.limit = limit * 5;
        this.show(this.scene);
        this.root.querySelectorAll(".flame-name")[limit].focus({ preventScroll: true });
      };
      const text = `Show more: ${words.count(limit)} of ${words.count(count)}`;
      return el("button", { type: "button", class: "quiet flame-more", click: more }, text);
    }
  }

  Object.assign(window.mmload, { FlameTable });
})();
