// The libraries in one place. `html` makes elements from templates; texts in it stay texts.

import { h } from "../vendor/preact.js";
import { useRef } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";
import { spoken } from "./words.js";

export { render, Fragment } from "../vendor/preact.js";
export { useEffect, useLayoutEffect, useRef, useState, useMemo, useId } from "../vendor/hooks.js";
export const html = htm.bind(h);

/** A component that is drawn again only when something that it is given is another thing, or the language is. */
export function kept(Component) {
  return function Kept(props) {
    const last = useRef({ props: null, language: "", drawn: null }).current;
    if (!last.props || last.language !== spoken() || !alike(last.props, props)) {
      last.props = props;
      last.language = spoken();
      last.drawn = h(Component, props);
    }
    return last.drawn;
  };
}

function alike(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
