"use strict";
// Draws every flame view of the page, one after the other.

(() => {
  const { el, FlameView, readEmbedded } = window.mmload;
  const views = {}; // by key

  const start = async () => {
    const hosts = [...document.querySelectorAll("[data-flame]")];
    for (const host of hosts) {
      const key = host.dataset.flame;
      try {
        views[key] = new FlameView(host, await readEmbedded(key), { key, isWhole: hosts.length === 1 });
        performance.mark(`${key}-shown`);
      } catch (error) {
        const sentence = `This flame view can't be shown. ${error.message}`;
        host.replaceChildren(el("p", { class: "flame-nothing", role: "alert" }, sentence));
        throw error;
      }
    }
  };
  document.addEventListener("DOMContentLoaded", start);

  Object.assign(window.mmload, { flameViews: views });
})();
