// The libraries in one place. `html` makes elements from templates; texts in it stay texts.

import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render } from "../vendor/preact.js";
export { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.js";
export const html = htm.bind(h);
