"use strict";
// Around a plot: what each line is, its figure at the point, which line a name is of, and the choice of a scale.

(() => {
  const { chart, el } = mmload;
  const DASHES = 4; // in chart.css; after them they begin again

  chart.Legend = class Legend {
    /**
     * groups: of chart.grouped(). longest(those of a group): characters of its longest figure, so that nothing moves
     * when one is said. toggle(group): what a press on its name does; without it a name is no button.
     */
    constructor(groups, { longest, toggle }) {
      this.places = new Map(groups.map(([group], place) => [group, place]));
      this.dashes = dashes(groups);
      this.figures = new Map();
      this.buttons = new Map();
      this.raised = null;
      const entries = groups.map(([group, those]) => this.entry(group, those, longest(those), toggle));
      this.root = el("div", { class: "legend" }, ...entries);
    }

    entry(group, [first], longest, toggle) {
      const figure = el("output", { class: "at-point" });
      figure.style.minWidth = `${longest}ch`;
      this.figures.set(group, figure);
      const looks = `key ${first.colour} ${first.kind} ${this.dashes.get(group)}`;
      const said = [el("span", { class: looks, "aria-hidden": "true" }), mmload.shown(group)];
      const press = { type: "button", class: "quiet", "aria-pressed": "true", click: () => toggle(group) };
      const name = toggle ? el("button", press, ...said) : el("span", { class: "name" }, ...said);
      if (toggle) this.buttons.set(group, name);
      const [raise, lower] = [() => this.raise(group), () => this.raise(null)];
      const focus = (event) => event.target.matches(":focus-visible") && raise();
      const heard = { pointerenter: raise, pointerleave: lower, focusin: focus, focusout: lower };
      return el("span", { class: "entry", ...heard }, name, figure);
    }

    /** The parts of a drawing that are of a group. */
    drawn(group, ...parts) {
      const attributes = { class: this.dashes.get(group), "data-group": this.places.get(group) };
      return chart.svg("g", attributes, ...parts);
    }

    /** drawing: where all that drawn() made is, once there is one. */
    show(drawing, hidden = new Set()) {
      this.drawing = drawing;
      for (const [group, button] of this.buttons) button.setAttribute("aria-pressed", String(!hidden.has(group)));
      this.raise(this.raised);
    }

    /** The other groups fade behind this one, unless it is hidden. null: all are as they were. */
    raise(group) {
      this.raised = group;
      const isSeen = group !== null && this.buttons.get(group)?.getAttribute("aria-pressed") !== "false";
      const place = isSeen ? String(this.places.get(group)) : null;
      for (const part of this.drawing?.querySelectorAll("[data-group]") ?? []) {
        part.classList.toggle("behind", place !== null && part.dataset.group !== place);
      }
    }

    /** text(group): what is said of it at the point. */
    say(text) {
      for (const [group, figure] of this.figures) figure.textContent = text(group);
    }
  };

  /**
   * A button beside the title of the plot in `host` that turns its scale: turn(isLog) is called at once, with each press
   * and after back and forward. key: the plot's in the link.
   */
  chart.offerLog = (host, key, turn) => {
    const isLog = () => mmload.link.read(key).log === "1";
    const follow = () => {
      button.setAttribute("aria-pressed", String(isLog()));
      turn(isLog());
    };
    const press = () => {
      mmload.link.change(key, { log: isLog() ? null : "1" });
      follow();
    };
    const button = el("button", { type: "button", class: "quiet log", click: press }, "log scale");
    host.parentElement.querySelector("figcaption").append(button);
    mmload.link.onChange(follow);
    follow();
  };

  /** Group -> how its lines are broken: where a colour comes again, it is not the same line. */
  const dashes = (groups) => {
    const seen = new Map();
    return new Map(
      groups.map(([group, [{ colour, kind }]]) => {
        const times = seen.get(colour) ?? 0;
        if (kind === "line") seen.set(colour, times + 1);
        return [group, kind === "line" ? `dash${times % DASHES}` : ""];
      }),
    );
  };
})();
