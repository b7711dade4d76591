"use strict";
// The report comes to life: plots are drawn, several runs take turns, commands are copied. Without it, it still reads.

(() => {
  const { chart, el } = mmload;
  const KEY = "report";

  document.addEventListener("DOMContentLoaded", async () => {
    offerCopies();
    leadOn();
    if (!document.getElementById("report-plots")) return;
    let plots;
    try {
      plots = await mmload.readEmbedded("report-plots");
    } catch (error) {
      document.querySelectorAll("[data-plot]").forEach((host) => host.replaceChildren(el("p", {}, error.message)));
      return;
    }
    const axis = plots.axes.length ? new chart.TimeAxis(plots.axes) : null;
    const draw = drawer(plots, axis);
    const choose = turns(draw);
    if (axis) {
      document.querySelectorAll("[data-zoom]").forEach((place) => place.append(...zoomButtons(axis)));
      followLink(axis);
    }
    draw();
    mmload.report = { plots, axis, choose, drawn: draw.drawn };
    document.documentElement.dataset.drawn = "yes";
    performance.mark("report-drawn");
  });

  /** draw(): all plots that are to be seen and are not drawn yet. */
  const drawer = ({ axes, panels, curves }, axis) => {
    const by = new Map([...panels, ...curves].map((plot) => [plot.id, plot]));
    const drawn = new Map();
    const draw = () => {
      for (const host of document.querySelectorAll("[data-plot]")) {
        const plot = by.get(host.dataset.plot);
        if (!plot || drawn.has(plot.id) || host.closest("[hidden]")) continue;
        const made = plot.curves ? new chart.CurvePlot(host, plot) : new chart.TimePlot(host, plot, axes, axis);
        drawn.set(plot.id, made);
        offerBins(host, made);
      }
    };
    draw.drawn = drawn;
    return draw;
  };

  /** Every bin as a row, below the figures of a plot over time, as soon as somebody asks. */
  const offerBins = (host, plot) => {
    const details = host.parentElement.querySelector("details");
    if (!details || !plot.table) return;
    const place = el("div", { class: "scroll bins" });
    const show = () => place.replaceChildren(plot.table());
    details.append(el("button", { type: "button", class: "quiet", click: show }, "Every bin in sight"), place);
  };

  // ---- several runs take turns --------------------------------------------------------------------------------------

  const turns = (draw) => {
    const sections = [...document.querySelectorAll("[data-run]")];
    const choice = document.querySelector("select[data-choose-run]");
    if (!choice) return () => {};
    const show = (run) => {
      const chosen = sections.some((section) => section.dataset.run === run) ? run : sections[0].dataset.run;
      for (const section of sections) section.hidden = section.dataset.run !== chosen;
      choice.value = chosen;
      draw();
    };
    const choose = (run) => {
      show(run);
      remember({ run: run === sections[0].dataset.run ? null : run });
    };
    choice.closest(".choose").hidden = false;
    choice.addEventListener("change", () => choose(choice.value));
    for (const link of document.querySelectorAll("[data-shows-run]")) {
      link.addEventListener("click", () => choose(link.dataset.showsRun));
    }
    mmload.link.onChange(() => show(mmload.link.read(KEY).run));
    show(mmload.link.read(KEY).run);
    return choose;
  };

  // ---- the stretch of time ------------------------------------------------------------------------------------------

  const zoomButtons = (axis) => {
    const where = el("output", { class: "where" });
    const tell = () => {
      const at = axis.point == null ? "" : `at ${chart.time(axis.point, axis.span)}`;
      const stretch = `${chart.time(axis.from, axis.span)} to ${chart.time(axis.to, axis.span)}`;
      where.textContent = axis.isWhole ? at : `${stretch} ${at}`;
    };
    const all = el("button", { type: "button", click: () => axis.reset() }, "Whole run");
    const measured = el("button", { type: "button", click: () => axis.zoom(...axis.measured) }, "Measured window");
    axis.onChange({ zoomed: tell, pointed: tell });
    return [all, ...(axis.measured ? [measured] : []), where];
  };

  const followLink = (axis) => {
    let isHeard = true;
    const follow = () => {
      const { from, to } = mmload.link.read(KEY);
      const [low, high] = from && to ? [Number(from), Number(to)] : [axis.low, axis.high];
      isHeard = false;
      if (Number.isFinite(low) && Number.isFinite(high) && low < high) axis.zoom(low, high);
      isHeard = true;
    };
    axis.onChange({
      zoomed(isStep) {
        if (!isHeard) return;
        const [from, to] = [axis.from, axis.to].map((t_s) => String(Math.round(t_s * 1000) / 1000));
        remember(axis.isWhole ? { from: null, to: null } : { from, to }, { push: !isStep });
      },
    });
    mmload.link.onChange(follow);
    follow();
  };

  const remember = (values, options) => mmload.link.change(KEY, values, options);

  /** Links within the page keep the state that its link holds. */
  const leadOn = () => {
    for (const link of document.querySelectorAll("a[href^='#']")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const target = document.getElementById(link.getAttribute("href").slice(1));
        if (!target) return;
        target.scrollIntoView();
        target.tabIndex = -1; // the keyboard goes on from there
        target.focus({ preventScroll: true });
      });
    }
  };

  // ---- commands -----------------------------------------------------------------------------------------------------

  const offerCopies = () => {
    if (!navigator.clipboard) return;
    for (const place of document.querySelectorAll("[data-copy]")) {
      const copy = async () => {
        try {
          await navigator.clipboard.writeText(place.querySelector("code").textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Select it by hand";
        }
      };
      const button = el("button", { type: "button", class: "quiet", click: copy }, "Copy");
      place.append(button);
    }
  };
})();
