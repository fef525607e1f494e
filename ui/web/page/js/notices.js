// Notices: what was done, and what could not be. Errors stay until they are closed; the rest goes by itself.

import { byId, element, plain } from "./elements.js";

const SHOWN_MILLISECONDS = 5000;
const MAX_SHOWN = 4;

export function notify(text, { isError = false } = {}) {
  const close = () => notice.remove();
  const notice = element("div", { class: `notice${isError ? " is-error" : ""}` }, element("span", {}, plain(text)),
    element("button", { type: "button", class: "quiet", "aria-label": "Close this notice", onclick: close }, "✕"));
  const host = byId(isError ? "errors" : "news");
  host.append(notice);
  while (host.children.length > MAX_SHOWN) host.firstChild.remove();
  if (!isError) setTimeout(close, SHOWN_MILLISECONDS);
}

// Does something that may fail; returns whether it went well.
export async function attempt(what, action, done = "") {
  try {
    await action();
    if (done) notify(done);
    return true;
  } catch (error) {
    notify(`${what}: ${error.message}`, { isError: true });
    return false;
  }
}
