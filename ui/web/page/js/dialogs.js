// Dialogs: real ones, which keep the focus and close by Escape. And the question before something is removed.

import { api } from "./api.js";
import { byId, element, isolated, setText } from "./elements.js";
import { plural } from "./format.js";
import { KEYS } from "./keyboard.js";
import { attempt } from "./notices.js";

const MAX_NAMED = 8;

export function listenToDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest(".cancel")) dialog.close();
    });
  }
  byId("key-list").append(...KEYS.flatMap(([keys, what]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what)]));
}

export function askToRemove(rows, done) {
  const dialog = byId("remove-dialog"), form = dialog.querySelector("form");
  setText(byId("remove-title"), rows.length === 1 ? "Remove this torrent?" : `Remove ${rows.length} torrents?`);
  byId("remove-names").replaceChildren(...rows.slice(0, MAX_NAMED).map((row) => element("li", {}, isolated(row.name))),
    ...(rows.length > MAX_NAMED ? [element("li", {}, `and ${plural(rows.length - MAX_NAMED, "more", "more")}`)] : []));
  byId("remove-data").checked = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    const withData = byId("remove-data").checked;
    dialog.close();
    await Promise.all(rows.map((row) => attempt(`Could not remove ${row.name}`, () => api.remove(row.info_hash, withData), `${row.name} is removed${withData ? ", with its files" : "; its files stay"}`)));
    done();
  };
  dialog.showModal();
  byId("remove-cancel").focus();
}
