"use strict";
// Where each node lies, in milliseconds from the left; the same for every zoom.

(() => {
  /**
   * basis: which side's time the widths are: "this", "base", or of each stack the "larger" (then nothing is out of sight).
   * Returns columns by node: left, width, depth; and deepest. Children lie below their parent from its left on; what
   * remains free at its right is its own time.
   */
  const layOut = (tree, basis) => {
    const width = ownWidths(tree, basis);
    for (let i = tree.count - 1; i > 0; i--) width[tree.parent[i]] += width[i];
    const left = new Float64Array(tree.count), depth = new Uint16Array(tree.count);
    let deepest = 0;
    for (let i = 0; i < tree.count; i++) {
      let at = left[i];
      for (let k = tree.kidStart[i]; k < tree.kidStart[i + 1]; k++) {
        const kid = tree.kidList[k];
        left[kid] = at;
        depth[kid] = depth[i] + 1;
        at += width[kid];
      }
      if (width[i] > 0 && depth[i] > deepest) deepest = depth[i];
    }
    return { left, width, depth, deepest };
  };

  const ownWidths = (tree, basis) => {
    if (!tree.isDiff || basis === "this") return tree.own[0].slice();
    if (basis === "base") return tree.own[1].slice();
    return tree.own[0].map((own, i) => Math.max(own, tree.own[1][i]));
  };

  /** The node at a depth and a place (in milliseconds), -1 where there is none. */
  const nodeAt = (tree, layout, depth, place) => {
    let node = 0;
    while (layout.depth[node] < depth) {
      let low = tree.kidStart[node], high = tree.kidStart[node + 1] - 1;
      if (high < low) return -1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (layout.left[tree.kidList[middle]] <= place) low = middle;
        else high = middle - 1;
      }
      node = tree.kidList[low];
      if (place < layout.left[node] || place >= layout.left[node] + layout.width[node]) return -1;
    }
    return node;
  };

  Object.assign(window.mmload, { layOut, nodeAt });
})();
