"use strict";
// What stands around the picture: tabs, the search, choices, the tooltip, help.

(() => {
  const { el, shown } = window.mmload;
  let made = 0; // names of radio groups are one a page

  /** A choice of one of several, as radio buttons. show(value) marks the one that holds. */
  const choice = (label, options, choose) => {
    const group = `flame-choice-${made++}`;
    const inputs = Object.entries(options).map(([value, text]) => {
      const input = el("input", { type: "radio", name: group, value, change: () => choose(value) });
      return [input, el("label", {}, input, el("span", {}, text))];
    });
    const labels = inputs.map(([, wrapped]) => wrapped);
    const root = el("fieldset", { class: "flame-choice" }, el("legend", {}, label), ...labels);
    return { root, show: (value) => inputs.forEach(([input]) => (input.checked = input.value === value)) };
  };

  /** Something that is folded or not. */
  const fold = (label, about, choose) => {
    const input = el("input", { type: "checkbox", change: () => choose(input.checked ? "folded" : "shown") });
    const root = el("label", { class: "flame-fold", title: about }, input, label);
    return { root, show: (value) => (input.checked = value === "folded") };
  };

  /** Tabs, one a view; arrow keys go from one to the next. */
  const tabs = (views, panel, choose) => {
    const buttons = views.map((view, i) => {
      const attributes = {
        type: "button",
        role: "tab",
        title: shown(view.about),
        "aria-controls": panel,
        click: () => choose(view.id),
        keydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          event.preventDefault();
          const next = (i + step + views.length) % views.length;
          choose(views[next].id);
          buttons[next].focus();
        },
      };
      return el("button", attributes, shown(view.label, 40));
    });
    const show = (id) =>
      views.forEach((view, i) => {
        buttons[i].setAttribute("aria-selected", String(view.id === id));
        buttons[i].tabIndex = view.id === id ? 0 : -1;
      });
    return { root: el("div", { class: "flame-tabs", role: "tablist", "aria-label": "Processes" }, ...buttons), show };
  };

  /** The search field, and what it says it found. */
  const searchField = (find) => {
    const input = el("input", {
      type: "search",
      class: "flame-search",
      placeholder: "Find: text or /regex/",
      "aria-label": "Find functions: text, or a regular expression between slashes",
      spellcheck: "false",
      autocomplete: "off",
      input: () => find(input.value),
    });
    const found = el("output", { class: "flame-search-found", "aria-live": "polite" });
    const show = (text, result, error) => {
      if (input.value !== text) input.value = text;
      input.setAttribute("aria-invalid", String(error !== ""));
      found.textContent = error || result;
      found.classList.toggle("flame-wrong", error !== "");
    };
    return { input, found, show };
  };

  /** What is under the pointer: the name, and figures of this side, the base and their difference. */
  const tooltip = () => {
    const root = el("div", { class: "flame-tooltip", role: "presentation", hidden: true });
    const fill = (words, node) => {
      const heads = words.tree.isDiff ? ["", "this", "base", "difference"] : ["", words.unit];
      const head = el("tr", {}, ...heads.map((text) => el("th", {}, text)));
      const rows = words.figures(node).map(([what, ...values]) =>
        el("tr", {}, el("th", {}, what), ...values.map((value) => el("td", {}, value))),
      );
      const verdict = words.word(node);
      root.replaceChildren(
        el("strong", {}, shown(words.name(node), 300)),
        el("span", { class: "flame-file" }, shown(words.place(node), 300)),
        el("span", { class: "flame-phase" }, node > 0 ? words.phase(node) : ""),
        el("table", {}, head, ...rows),
        verdict ? el("span", { class: "flame-verdict" }, verdict) : "",
      );
    };
    const place = (event) => {
      const { offsetWidth, offsetHeight } = root;
      const left = Math.min(event.clientX + 14, window.innerWidth - offsetWidth - 8);
      const isBelow = event.clientY + 18 + offsetHeight < window.innerHeight;
      root.style.left = `${Math.max(8, left)}px`;
      root.style.top = `${isBelow ? event.clientY + 18 : Math.max(8, event.clientY - offsetHeight - 12)}px`;
    };
    let shownNode = null;
    return {
      root,
      show(words, node, event) {
        if (shownNode !== node || root.hidden) fill(words, node);
        shownNode = node;
        root.hidden = false;
        place(event);
      },
      hide: () => (root.hidden = true),
    };
  };

  const KEYS = [
    ["Click, Enter", "zoom to a function"],
    ["Esc, Backspace", "zoom out by a step; the browser's back button undoes a zoom"],
    ["Home", "show everything"],
    ["Arrows", "to the caller, to what it called, to its neighbours"],
    ["/", "find: text, /regex/, or \"one function\""],
    ["?", "this help"],
  ];

  const help = () => {
    const rows = KEYS.flatMap(([key, does]) => [el("dt", {}, key), el("dd", {}, does)]);
    const notes = [
      "The link in the address bar holds all that is chosen here but for how many rows the table shows.",
      "Boilerplate leads to the event loop or only hands on, as a decorator does. Folded, its time is its caller's.",
      "A phase's button hides its time. Grey strips are functions too narrow to draw.",
    ];
    const close = el("button", { type: "button", click: () => root.close() }, "Close");
    const parts = [el("h2", {}, "Keys"), el("dl", {}, ...rows), ...notes.map((note) => el("p", {}, note)), close];
    const root = el("dialog", { class: "flame-help", "aria-label": "Help" }, ...parts);
    return root;
  };

  Object.assign(window.mmload, { flameControls: { choice, fold, tabs, searchField, tooltip, help } });
})();
