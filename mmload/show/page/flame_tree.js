"use strict";
// A view's nodes as a tree to be looked at: phases hidden; recursion, boilerplate and the way to the event loop folded.

(() => {
  const { FOLD } = window.mmload;
  const UNIT_MS = 1e-5; // of the columns of values, as in the document

  // Words of a node's difference, as the document numbers them.
  const WITHIN_NOISE = 0, MORE = 1, LESS = 2, APPEARED = 3, VANISHED = 4, NOT_JUDGED = 5;

  /**
   * Columns by node; node 0 stands for all samples and has frame -1. A parent comes before its children.
   *   parent, frame, origin (the first node of the document that it is made of), word, isCut: a part of it is hidden
   *   own[s], total[s]: milliseconds, ownSamples[s], samples[s]: samples; s is 0 for this side and 1 for the base
   *   kidList from kidStart[node] to kidStart[node + 1]: its children, the largest first
   * placeOf: the node here by that of the document, -1 if it is hidden. loopPlace: the node that is an event loop
   * and all that leads to it, -1 where there is none.
   */
  class FlameTree {
    /** nodes: the columns of a view. phases: how many. folds: foldsOf() all frames. hidden: a Set of phase indices.
     *  recursion, loop: whether to fold them; boilerplate is folded into its callers where the loop is. */
    constructor(nodes, { isDiff, phases, folds, hidden, recursion, loop }) {
      this.phaseCount = phases;
      this.frameCount = folds.length;
      this.isDiff = isDiff;
      this.folds = loop ? folds : null;
      const kept = keptNodes(nodes, hidden);
      const chain = loop ? chainNodes(nodes, kept, folds) : null;
      const isInCaller = (frame, caller) => (recursion && caller === frame) || this.isFolded(frame);
      this._place(nodes, kept, chain, recursion || loop ? isInCaller : null);
      this._fill(nodes, hidden);
      this._sum();
      this._sortKids();
    }

    /** Gives every kept node of the document a place here: placeOf[its index], -1 for the others. isInCaller(frame, that
     *  of its caller): the two have one place; null where nothing is folded. */
    _place(nodes, kept, chain, isInCaller) {
      const size = nodes.up.length;
      const placeOf = (this.placeOf = new Int32Array(size).fill(-1));
      const parent = [-1], frame = [-1], origin = [-1];
      const known = new Map(); // children that were folded together may have one frame: they are one
      let loopPlace = -1;
      const added = (under, index) => {
        parent.push(under), frame.push(nodes.frame[index]), origin.push(index);
        return parent.length - 1;
      };
      for (let i = 0; i < size; i++) {
        if (!kept.isKept[i]) continue;
        const under = nodes.up[i] ? placeOf[i - nodes.up[i]] : 0;
        if (chain?.[i]) {
          if (loopPlace < 0) loopPlace = added(0, i);
          frame[loopPlace] = nodes.frame[i];
          placeOf[i] = loopPlace;
        } else if (under > 0 && isInCaller?.(nodes.frame[i], frame[under])) {
          placeOf[i] = under;
        } else if (isInCaller) {
          const key = (under * this.frameCount + nodes.frame[i]) * this.phaseCount + nodes.phase[i];
          if (!known.has(key)) known.set(key, added(under, i));
          placeOf[i] = known.get(key);
        } else {
          placeOf[i] = added(under, i);
        }
      }
      this.count = parent.length;
      this.loopPlace = loopPlace;
      this.parent = Int32Array.from(parent);
      this.frame = Int32Array.from(frame);
      this.origin = Int32Array.from(origin);
      this._words(nodes, kept, size);
    }

    /** A place made of several nodes keeps the word that they share; where part of one is hidden, nothing was judged. */
    _words(nodes, kept, size) {
      const word = (this.word = new Uint8Array(this.count).fill(NOT_JUDGED));
      this.isCut = new Uint8Array(this.count);
      if (!this.isDiff) return;
      const placeOf = this.placeOf;
      for (let i = 0; i < size; i++) {
        const at = placeOf[i];
        if (at < 0) continue;
        this.isCut[at] |= kept.isTouched[i];
        const above = nodes.up[i] ? placeOf[i - nodes.up[i]] : -1;
        if (above === at) continue; // folded into its caller, whose word covers it
        const said = kept.isTouched[i] ? NOT_JUDGED : nodes.word[i];
        word[at] = this.origin[at] === i ? said : bothWords(word[at], said);
      }
    }

    _fill(nodes, hidden) {
      const { placeOf, phaseCount } = this;
      this.own = [], this.ownSamples = [];
      this.byPhase = new Float32Array(this.count * phaseCount); // both sides together: for the colour only
      const sides = [[nodes.value, nodes.samples], [nodes.base_value, nodes.base_samples]].slice(0, this.isDiff ? 2 : 1);
      for (const [values, counts] of sides) {
        const own = new Float64Array(this.count), ownSamples = new Float64Array(this.count);
        for (let i = 0; i < values.length; i++) {
          const at = placeOf[i];
          if (at < 0 || hidden.has(nodes.phase[i])) continue;
          own[at] += values[i] * UNIT_MS;
          ownSamples[at] += counts[i];
          this.byPhase[at * phaseCount + nodes.phase[i]] += values[i];
        }
        this.own.push(own);
        this.ownSamples.push(ownSamples);
      }
    }

    _sum() {
      this.total = this.own.map((own) => own.slice());
      this.samples = this.ownSamples.map((own) => own.slice());
      const { parent, byPhase, phaseCount } = this;
      for (const column of [...this.total, ...this.samples]) {
        for (let i = this.count - 1; i > 0; i--) column[parent[i]] += column[i];
      }
      for (let i = this.count - 1; i > 0; i--) {
        const from = i * phaseCount, to = parent[i] * phaseCount;
        for (let p = 0; p < phaseCount; p++) byPhase[to + p] += byPhase[from + p];
      }
    }

    _sortKids() {
      const { parent, count } = this;
      const size = this.isDiff ? this.total[0].map((value, i) => Math.max(value, this.total[1][i])) : this.total[0];
      const start = new Int32Array(count + 1);
      for (let i = 1; i < count; i++) start[parent[i] + 1]++;
      for (let i = 0; i < count; i++) start[i + 1] += start[i];
      const next = start.slice(), list = new Int32Array(Math.max(0, count - 1));
      for (let i = 1; i < count; i++) list[next[parent[i]]++] = i;
      for (let i = 0; i < count; i++) {
        if (start[i + 1] - start[i] > 1) list.subarray(start[i], start[i + 1]).sort((a, b) => size[b] - size[a] || a - b);
      }
      this.kidStart = start;
      this.kidList = list;
    }

    kids(node) {
      return this.kidList.subarray(this.kidStart[node], this.kidStart[node + 1]);
    }

    /** The phase that nearly all of a node's time is in, -1 where several share it. */
    mainPhase(node) {
      let whole = 0, most = 0, phase = -1;
      for (let p = 0; p < this.phaseCount; p++) {
        const value = this.byPhase[node * this.phaseCount + p];
        whole += value;
        if (value > most) (most = value), (phase = p);
      }
      return most >= 0.9 * whole ? phase : -1;
    }

    /** Whether a function is boilerplate, which stands in its callers' boxes. */
    isFolded(frame) {
      return this.folds !== null && this.folds[frame] === FOLD.BOILERPLATE;
    }

    /** What a node differs by, this less base, in milliseconds. */
    difference(node) {
      return this.total[0][node] - this.total[1][node];
    }

    /** Nodes from below node 0 down to `node`. */
    path(node) {
      const path = [];
      for (let at = node; at > 0; at = this.parent[at]) path.unshift(at);
      return path;
    }
  }

  /** isKept: something of the node or below it is shown. isTouched: something is hidden there. */
  const keptNodes = (nodes, hidden) => {
    const size = nodes.up.length;
    const isKept = new Uint8Array(size), isTouched = new Uint8Array(size);
    const holds = (i) => nodes.samples[i] || nodes.value[i] || nodes.base_samples[i] || nodes.base_value[i];
    for (let i = size - 1; i >= 0; i--) {
      if (holds(i)) (hidden.has(nodes.phase[i]) ? isTouched : isKept)[i] = 1;
      if (!nodes.up[i]) continue;
      isKept[i - nodes.up[i]] |= isKept[i];
      isTouched[i - nodes.up[i]] |= isTouched[i];
    }
    return { isKept, isTouched };
  };

  /** Nodes that are an event loop or lead to one: 1 or 0 by node. */
  const chainNodes = (nodes, { isKept }, folds) => {
    const chain = new Uint8Array(nodes.up.length);
    for (let i = nodes.up.length - 1; i >= 0; i--) {
      if (isKept[i] && folds[nodes.frame[i]] === FOLD.LOOP) chain[i] = 1;
      if (chain[i] && nodes.up[i]) chain[i - nodes.up[i]] = 1;
    }
    return chain;
  };

  /** What can be said of two nodes together: where they disagree, nothing. */
  const bothWords = (a, b) => {
    if (a === b) return a;
    const pair = new Set([a, b]);
    if (pair.has(MORE) && pair.has(APPEARED)) return MORE;
    if (pair.has(LESS) && pair.has(VANISHED)) return LESS;
    return NOT_JUDGED;
  };

  const WORD = { WITHIN_NOISE, MORE, LESS, APPEARED, VANISHED, NOT_JUDGED };
  Object.assign(window.mmload, { FlameTree, WORD });
})();
