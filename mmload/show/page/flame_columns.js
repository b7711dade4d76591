"use strict";
// What the table has: rows and columns of functions, and of what differs between the two sides.

(() => {
  const { WORD, words, functionsUnder } = window.mmload;
  const { WORDS, NOTHING_MS } = words;
  const BEYOND_NOISE = 1e9; // ms: sorted by size, a difference comes before all that may be none
  const IN_ORDER = [WORD.MORE, WORD.LESS, WORD.APPEARED, WORD.VANISHED, WORD.WITHIN_NOISE, WORD.NOT_JUDGED];
  const SAYS_NOTHING = new Set([WORDS[WORD.WITHIN_NOISE], WORDS[WORD.NOT_JUDGED]]);

  // A column: name (in the link), title, value (to sort by), text (as shown).

  const functionColumns = (scene) => {
    const whole = scene.tree.total[0][scene.zoom];
    const columns = [
      { name: "self", title: "self ms", value: (row) => row.own[0], text: (row) => words.ms(row.own[0]) },
      { name: "total", title: "total ms", value: (row) => row.total[0], text: (row) => words.ms(row.total[0]) },
      { name: "share", title: "share", value: (row) => row.total[0], text: (row) => words.shareOf(row.total[0], whole) },
      { name: "samples", title: "samples", value: (row) => row.samples[0], text: (row) => words.count(row.samples[0]) },
    ];
    if (!scene.tree.isDiff) return columns;
    const base = (row) => row.total[1];
    columns.splice(2, 0, { name: "base", title: "base total ms", value: base, text: (row) => words.ms(base(row)) });
    return columns;
  };

  /** Fields of a change by what it is of: the function alone, or with what it called. */
  const FIELDS = {
    self: { this_: "own_ms", base: "base_own_ms", low: "own_low_ms", high: "own_high_ms", word: "own_word" },
    total: { this_: "total_ms", base: "base_total_ms", low: "low_ms", high: "high_ms", word: "word" },
  };

  const changeColumns = (of, confidence) => {
    const { this_, base, low, high, word } = FIELDS[of];
    const difference = (row) => row[this_] - row[base];
    const size = (row) => Math.abs(difference(row)) + (SAYS_NOTHING.has(row[word]) ? 0 : BEYOND_NOISE);
    const bounds = (row) => `${words.signedMs(row[low])} to ${words.signedMs(row[high])}`;
    return [
      { name: "difference", title: "difference ms", value: size, text: (row) => words.signedMs(difference(row)) },
      { name: "word", title: "change", value: (row) => row[word], text: (row) => row[word] },
      {
        name: "bounds",
        title: confidence ? `${+(100 * confidence).toFixed(2)} % bounds` : "bounds",
        value: (row) => row[low],
        text: bounds,
      },
      { name: "this", title: `${of} ms`, value: (row) => row[this_], text: (row) => words.ms(row[this_]) },
      { name: "base", title: `base ${of} ms`, value: (row) => row[base], text: (row) => words.ms(row[base]) },
    ];
  };

  /**
   * Functions that took such time on either side. folded: how many are left out beside them, because the picture has
   * them in their callers and they do not differ by themselves.
   */
  const changesOf = ({ view, tree, state }) => {
    const { this_, base } = FIELDS[state.of];
    const there = view.changes.filter((row) => Math.max(row[this_], row[base]) >= NOTHING_MS);
    const rows = there.filter((row) => !tree.isFolded(row.frame) || !SAYS_NOTHING.has(row.own_word));
    return { rows, folded: there.length - rows.length };
  };

  /** {rows, columns, note: what the table leaves out, counts: how many changes there are of each word}. */
  const tableOf = (scene) => {
    const { state, document } = scene;
    if (state.table !== "differences") {
      return { rows: functionsUnder(scene.tree, scene.zoom), columns: functionColumns(scene), note: "", counts: null };
    }
    const { rows, folded } = changesOf(scene);
    const ofWord = (word) => rows.filter((row) => row[FIELDS[state.of].word] === word);
    return {
      rows: state.only ? ofWord(state.only) : rows,
      columns: changeColumns(state.of, document.confidence),
      note: [reachOf(scene), leftOut(folded)].filter(Boolean).join(" "),
      counts: IN_ORDER.map((word) => [WORDS[word], ofWord(WORDS[word]).length]),
    };
  };

  /** Differences are judged with all their samples: what is chosen above does not change them. */
  const reachOf = ({ zoom, hidden }) => {
    const ignored = [zoom > 0 && "the zoom", hidden.size > 0 && "hidden phases"].filter(Boolean);
    return ignored.length ? `Of the whole view, without regard to ${ignored.join(" and ")}.` : "";
  };

  const leftOut = (folded) => {
    if (!folded) return "";
    return `Folded and left out: ${words.count(folded)} function${folded === 1 ? "" : "s"} without a difference.`;
  };

  Object.assign(window.mmload, { flameTableOf: tableOf });
})();
