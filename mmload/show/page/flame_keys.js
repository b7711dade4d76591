"use strict";
// Where keys lead to in a tree.

(() => {
  /** The node that an arrow leads to from `node`; itself where there is none. */
  const steppedTo = ({ tree, layout, shape }, node, key) => {
    const wide = (nodes) => [...nodes].filter((one) => layout.width[one] > 0);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const row = node > 0 ? wide(tree.kids(tree.parent[node])) : [0];
      return row[row.indexOf(node) + (key === "ArrowRight" ? 1 : -1)] ?? node;
    }
    const isToCaller = key === (shape === "icicle" ? "ArrowUp" : "ArrowDown");
    if (isToCaller) return Math.max(0, tree.parent[node]);
    const kids = wide(tree.kids(node));
    return kids.reduce((widest, kid) => (layout.width[kid] > layout.width[widest] ? kid : widest), kids[0]) ?? node;
  };

  /** The next node to zoom out to: callers with nothing beside what they called are no step of their own. */
  const widerThan = ({ tree, layout }, node) => {
    const outermost = (one) => {
      while (one > 0 && layout.width[tree.parent[one]] === layout.width[one]) one = tree.parent[one];
      return one;
    };
    return outermost(Math.max(0, tree.parent[outermost(node)]));
  };

  Object.assign(window.mmload, { steppedTo, widerThan });
})();
