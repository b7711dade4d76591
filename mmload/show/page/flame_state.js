"use strict";
// What a person has chosen in a flame view: all of it is in the link, so that a link shows what its sender saw.

(() => {
  const { WORDS } = window.mmload.words;

  /** At first. In the link stands only what differs from this. */
  const firstState = (document) => ({
    view: document.views.length ? document.views[0].id : "",
    colour: document.base === null ? "phase" : "difference",
    shape: "icicle",
    width: document.base === null ? "this" : "larger",
    loop: "folded",
    recursion: "shown",
    hide: "", // names of phases, with commas
    find: "",
    zoom: "", // a node of the view, as the document counts them
    table: document.base === null ? "functions" : "differences",
    of: "self", // what the differences are of
    only: "", // the differences of this word
    sort: "", // a column; with a - before it the other way round
  });

  const CHOICES = {
    colour: ["phase", "package", "difference"],
    shape: ["icicle", "flame"],
    width: ["this", "base", "larger"],
    loop: ["folded", "shown"],
    recursion: ["folded", "shown"],
    table: ["functions", "differences"],
    of: ["self", "total"],
    only: Object.values(WORDS),
  };
  const NEEDS_BASE = new Set(["difference", "differences", "base", "larger"]);

  /** The state that a link holds; what it does not know or can't be here is as at first. */
  const stateOfLink = (key, document) => {
    const state = firstState(document);
    for (const [name, value] of Object.entries(window.mmload.link.read(key))) {
      if (!Object.hasOwn(state, name)) continue;
      const isWrong =
        (name in CHOICES && !CHOICES[name].includes(value)) ||
        (document.base === null && NEEDS_BASE.has(value) && name in CHOICES) ||
        (name === "view" && !document.views.some((view) => view.id === value)) ||
        (name === "zoom" && !/^\d{1,9}$/.test(value));
      if (!isWrong) state[name] = value;
    }
    return state;
  };

  const linkOfState = (key, state, document, options) => {
    const first = firstState(document);
    const changed = Object.entries(state).filter(([name, value]) => value !== first[name]);
    window.mmload.link.write(key, Object.fromEntries(changed), options);
  };

  const hiddenPhases = (state, phases) => {
    const names = new Set(state.hide.split(","));
    return new Set(phases.map((_, i) => i).filter((i) => names.has(phases[i])));
  };

  Object.assign(window.mmload, { stateOfLink, linkOfState, hiddenPhases });
})();
