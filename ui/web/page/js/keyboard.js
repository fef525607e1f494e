// Keys that work wherever no text is typed. The rest (arrows, Enter, space, Delete) belongs to the tables.

import { byId } from "./elements.js";

export const KEYS = [
  ["↑ ↓ PgUp PgDn Home End", "move in a table; with Shift: select as well"], ["Ctrl A", "select all rows"], ["Enter", "open: from a torrent to its peers, from a peer to its history"],
  ["Space", "start or stop the selected torrents"], ["Delete", "remove the selected torrents (asks first)"], ["Shift F10", "what can be done with the selected rows"],
  ["/", "filter the torrents"], ["a", "add a torrent"], ["p", "pause or resume connecting"], ["t", "to the torrents"], ["1 … 7", "the tabs of the details"],
  ["s", "settings"], ["Escape", "close what is open; from the details back to the torrents"], ["?", "this list"],
];

export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (document.querySelector("dialog[open]") || isTyping) return;
    if (event.key === "Enter" || event.key === " ") return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

// A list of tabs: arrow keys move, the one that has the focus is shown
export function listenToTabs(list, show) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    show(tab.dataset.tab);
    tab.focus();
  });
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) show(tab.dataset.tab);
  });
  return (name) => {
    for (const tab of tabs) {
      const isShown = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !isShown;
    }
  };
}
