"use strict";
// What every page stands on: its data, its link, its theme, and the only way to make elements.

(() => {
  const mmload = (window.mmload = window.mmload || {});

  // ---- data ---------------------------------------------------------------------------------------------------------

  /** The JSON of a block that the page was made with. Rejects with a sentence for a person. */
  mmload.readEmbedded = async (id) => {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("This browser can't unpack the data of this page: Chrome 80, Firefox 113 and Safari 16.4 can.");
    }
    const packed = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  };

  // ---- elements -----------------------------------------------------------------------------------------------------

  /** An element. attributes: a function is a listener, true an empty attribute, false and null none; children: elements
   *  and texts, empty ones and null left out. Nothing is ever parsed as markup. */
  mmload.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child != null && child !== ""));
    return element;
  };

  // Characters that show nothing, or that turn the text around them: a name must not look like another.
  const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
  const LONGEST = 400;

  /** A stranger's text as it may be shown: nothing invisible in it, and not without end. */
  mmload.shown = (text, longest = LONGEST) => {
    const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
    return cut.replace(UNSEEN, "\ufffd");
  };

  /** A text as pieces that may go on in the next line after a slash or an underscore, or with a dot. */
  mmload.breakable = (text) => text.split(/(?<=[/_])(?!_)|(?=\.)/).flatMap((part, i) => (i ? [mmload.el("wbr"), part] : [part]));

  // ---- the link -----------------------------------------------------------------------------------------------------

  // What follows # are fields KEY.NAME=VALUE: each part of a page has a key, and what is as at first is left out.
  const fields = () => new URLSearchParams(location.hash.slice(1));

  mmload.link = {
    /** {name: value} of a part of the page. */
    read(key) {
      const found = {};
      for (const [name, value] of fields()) if (name.startsWith(`${key}.`)) found[name.slice(key.length + 1)] = value;
      return found;
    },
    /** Replaces what the link says of a part. push: the browser's back button comes back to what was before. */
    write(key, values, { push = false } = {}) {
      const all = fields();
      for (const name of [...all.keys()]) if (name.startsWith(`${key}.`)) all.delete(name);
      for (const [name, value] of Object.entries(values)) all.set(`${key}.${name}`, value);
      const hash = all.toString();
      if (hash === location.hash.slice(1)) return;
      const where = hash ? `#${hash}` : location.pathname + location.search;
      history[push ? "pushState" : "replaceState"](null, "", where);
    },
    /** Changes fields of a part; null takes one out. */
    change(key, values, options) {
      const all = Object.entries({ ...this.read(key), ...values });
      this.write(key, Object.fromEntries(all.filter(([, value]) => value != null)), options);
    },
    /** heard() after back, forward, or another link to this page. */
    onChange(heard) {
      window.addEventListener("popstate", heard);
    },
  };

  // ---- theme --------------------------------------------------------------------------------------------------------

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const CHOICES = ["auto", "light", "dark"];

  mmload.theme = {
    choice: "auto",
    get isDark() {
      return document.documentElement.dataset.theme === "dark";
    },
    choose(choice) {
      this.choice = CHOICES.includes(choice) ? choice : "auto";
      mmload.link.write("page", this.choice === "auto" ? {} : { theme: this.choice });
      this.apply();
    },
    /** printing: paper is light. */
    apply({ printing = false } = {}) {
      const isDark = !printing && (this.choice === "dark" || (this.choice === "auto" && dark.matches));
      document.documentElement.dataset.theme = isDark ? "dark" : "light";
      listeners.forEach((heard) => heard());
    },
    /** heard() whenever light became dark or dark light: what is drawn is drawn again. */
    onChange(heard) {
      listeners.push(heard);
    },
    /** A button that goes through auto, light and dark. */
    button() {
      const words = () => `Theme: ${this.choice}`;
      const button = mmload.el("button", { type: "button", class: "quiet", click: () => next() }, words());
      const next = () => this.choose(CHOICES[(CHOICES.indexOf(this.choice) + 1) % CHOICES.length]);
      this.onChange(() => (button.textContent = words()));
      return button;
    },
  };

  /** A colour of the page by its CSS variable, as the theme has it now. */
  mmload.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const follow = () => {
    const { theme = "auto" } = mmload.link.read("page");
    mmload.theme.choice = CHOICES.includes(theme) ? theme : "auto";
    mmload.theme.apply();
  };
  dark.addEventListener("change", () => mmload.theme.apply());
  window.addEventListener("beforeprint", () => mmload.theme.apply({ printing: true }));
  window.addEventListener("afterprint", () => mmload.theme.apply());
  mmload.link.onChange(follow);
  follow();

  // ---- start --------------------------------------------------------------------------------------------------------

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll("[data-theme-button]")) place.append(mmload.theme.button());
  });
})();
