"use strict";
// What the colours mean, and how much there is of each; a phase's button hides it.

(() => {
  const { el, shown, words } = window.mmload;

  /** A box of a colour. It is set through the script: the page allows no style attributes. */
  const swatch = (colour) => {
    const box = el("span", { class: "flame-swatch", "aria-hidden": "true" });
    box.style.backgroundColor = colour;
    return box;
  };

  const key = (label, ...entries) =>
    el("div", { class: "flame-key" }, el("span", { class: "flame-key-label" }, label), ...entries);
  const entry = (colour, text) => el("span", { class: "flame-key-entry" }, swatch(colour), text);

  /** Milliseconds by phase of one side of a view, hidden ones too. */
  const phaseTimes = (nodes, values, phases) => {
    const times = phases.map(() => 0);
    nodes.phase.forEach((phase, i) => (times[phase] += values[i] / 1e5));
    return times;
  };

  /** phase -> [what a narrow window leaves out, the rest], false where it has no time; of a difference both sides, for a
   *  share of either says nothing of what changed. */
  const phaseFigures = ({ document, view }) => {
    const { nodes } = view;
    const times = phaseTimes(nodes, nodes.value, document.phases);
    if (document.base !== null) {
      const base = phaseTimes(nodes, nodes.base_value, document.phases);
      const both = (phase) => [`${words.ms(times[phase])}, base ${words.ms(base[phase])}`, ""];
      return (phase) => times[phase] + base[phase] > 0 && both(phase);
    }
    const whole = times.reduce((sum, one) => sum + one, 0);
    return (phase) => times[phase] > 0 && [words.ms(times[phase]), words.shareOf(times[phase], whole)];
  };

  const phaseButtons = (scene, toggle) => {
    const { document, hidden, colours, state } = scene;
    const figures = phaseFigures(scene);
    const buttons = [...document.phases.keys()].filter(figures).map((phase) => {
      const isShown = !hidden.has(phase);
      const attributes = {
        type: "button",
        class: "flame-chip",
        "data-phase": document.phases[phase],
        "aria-pressed": String(isShown),
        title: isShown ? "Hide this phase" : "Show this phase",
        click: () => toggle(phase),
      };
      const [detail, rest] = figures(phase);
      return el(
        "button",
        attributes,
        state.colour === "phase" ? swatch(colours.phase(phase)) : null,
        el("span", { class: "flame-chip-name" }, document.phases[phase]),
        el("span", { class: "flame-chip-figure flame-chip-detail" }, detail),
        rest && el("span", { class: "flame-chip-figure" }, rest),
      );
    });
    const several = state.colour === "phase" ? entry(colours.several(), "several phases") : null;
    const group = { class: "flame-chips", role: "group", "aria-label": "Phases: press to hide or show" };
    return el("div", group, ...buttons, several);
  };

  const packageKey = ({ colours }) => {
    const entries = [...colours.packages.keys()].map((name) => entry(colours.package(name), shown(name, 40)));
    return key("package", ...entries, entry(colours.package(""), "others"));
  };

  const differenceKey = ({ colours }) => {
    const step = (ms) => el("span", { class: "flame-step" }, swatch(colours.differing(ms)), words.signedMs(ms));
    const steps = [-1, -1 / 3, -1 / 10, 1 / 10, 1 / 3, 1].map((share) => step(share * colours.strongest));
    const scale = colours.strongest > 0 ? [el("span", { class: "flame-scale" }, ...steps)] : [];
    const none = entry(colours.differing(0), "within noise or not judged");
    return key("difference of the total, ms", ...scale, none, signs());
  };

  const signs = () => el("span", { class: "flame-key-entry" }, "▲ more  ▼ less  + appeared  × vanished");

  /** The elements of the legend. toggle(phase): what a phase's button does. */
  const legend = (scene, toggle) => {
    const parts = [phaseButtons(scene, toggle)];
    if (scene.state.colour === "package") parts.push(packageKey(scene));
    if (scene.state.colour === "difference") parts.push(differenceKey(scene));
    else if (scene.tree.isDiff) parts.push(key("signs", signs()));
    return parts;
  };

  Object.assign(window.mmload, { flameLegend: legend });
})();
