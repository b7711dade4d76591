"use strict";
// What a part of a tree holds by function, and how much of it a search matches: recursion counted once.

(() => {
  /** Calls enter(node) before a node's children and leave(node) after them; enter may say false: not below. */
  const walk = (tree, top, enter, leave) => {
    const stack = [top];
    while (stack.length) {
      const at = stack.pop();
      if (at < 0) {
        leave(~at);
      } else if (enter(at) !== false) {
        if (leave) stack.push(~at);
        for (let k = tree.kidStart[at]; k < tree.kidStart[at + 1]; k++) stack.push(tree.kidList[k]);
      }
    }
  };

  /**
   * Every function at and below `top`: [{frame, own: [ms of this side, of the base], total, samples}], samples those of
   * its total. The total counts a sample once, however often the function stands in it.
   */
  const functionsUnder = (tree, top) => {
    const onPath = new Uint16Array(tree.frameCount), isThere = new Uint8Array(tree.frameCount);
    const columns = () => tree.own.map(() => new Float64Array(tree.frameCount));
    const own = columns(), total = columns(), samples = columns();
    const enter = (node) => {
      const frame = tree.frame[node];
      if (frame < 0) return;
      const isOutermost = onPath[frame]++ === 0;
      isThere[frame] = 1;
      for (let s = 0; s < own.length; s++) {
        own[s][frame] += tree.own[s][node];
        if (!isOutermost) continue;
        total[s][frame] += tree.total[s][node];
        samples[s][frame] += tree.samples[s][node];
      }
    };
    walk(tree, top, enter, (node) => tree.frame[node] >= 0 && onPath[tree.frame[node]]--);
    const of = (column, frame) => column.map((side) => side[frame]);
    const frames = [...isThere.keys()].filter((frame) => isThere[frame]);
    return frames.map((frame) => ({ frame, own: of(own, frame), total: of(total, frame), samples: of(samples, frame) }));
  };

  /** Of those that match (1 or 0 by frame), folded away or not: functions, how many a view has; time, milliseconds of
   *  each side in them and in what they called, without the hidden phases (a Set). */
  const matchedIn = (nodes, matches, hidden) => {
    const sides = nodes.base_value.length ? [nodes.value, nodes.base_value] : [nodes.value];
    const isWithin = new Uint8Array(nodes.up.length);
    const functions = new Set(), time = sides.map(() => 0);
    for (let i = 0; i < isWithin.length; i++) {
      const isMatch = matches[nodes.frame[i]] === 1;
      isWithin[i] = isMatch || (nodes.up[i] > 0 && isWithin[i - nodes.up[i]]) ? 1 : 0;
      if (!isWithin[i] || hidden.has(nodes.phase[i])) continue;
      if (isMatch) functions.add(nodes.frame[i]);
      sides.forEach((values, s) => (time[s] += values[i] / 1e5));
    }
    return { functions, time };
  };

  Object.assign(window.mmload, { functionsUnder, matchedIn });
})();
