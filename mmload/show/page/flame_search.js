"use strict";
// What a person looks for: text anywhere in a function's name or file, /a regular expression/, "one function".

(() => {
  const fullName = (frame) => (frame.file ? `${frame.function} (${frame.file})` : frame.function);

  /** The search that finds exactly this function. */
  const exactly = (frame) => `"${fullName(frame)}"`;

  /** A test of a frame. Throws SyntaxError where /../ is no regular expression. */
  const matcher = (text) => {
    const pattern = /^\/(.+)\/([a-z]*)$/s.exec(text);
    if (pattern) {
      const expression = new RegExp(pattern[1], pattern[2].replace(/[gy]/g, ""));
      return (frame) => expression.test(fullName(frame));
    }
    const quoted = /^"(.*)"$/s.exec(text);
    if (quoted) return (frame) => frame.function === quoted[1] || fullName(frame) === quoted[1];
    const lower = text.toLowerCase();
    return (frame) => fullName(frame).toLowerCase().includes(lower);
  };

  /** {matches: 1 or 0 by frame, error: what is wrong with the text}; matches is null without anything to look for. */
  const search = (frames, text) => {
    if (!text) return { matches: null, error: "" };
    try {
      return { matches: Uint8Array.from(frames, matcher(text)), error: "" };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return { matches: null, error: error.message };
    }
  };

  Object.assign(window.mmload, { search, exactly });
})();
