// Menus: of the pointer's right key, of the menu key, of a button. One at a time, worked by arrow keys, closed by Escape.

import { element, setVariable } from "./elements.js";

let opened = null;

export function closeMenu() {
  opened?.close();
}

// items: {text, action, checked (true or false: a checkbox), disabled, danger, separator, heading}; `anchor`: an element, or {x, y}
export function showMenu(anchor, items, label = "Actions") {
  closeMenu();
  const before = document.activeElement;
  const menu = element("div", { class: "menu", role: "menu", "aria-label": label, tabindex: -1 }, ...items.map(itemOf));
  const choices = () => [...menu.querySelectorAll("[role^=menuitem]:not([aria-disabled])")];
  const close = (returnsFocus = true) => {
    opened = null;
    menu.remove();
    document.removeEventListener("pointerdown", pressed, true);
    if (returnsFocus) before?.focus?.();
  };
  const pressed = (event) => {
    if (!menu.contains(event.target)) close(false);
  };
  menu.addEventListener("keydown", (event) => {
    const list = choices(), at = list.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
    event.stopPropagation();
    if (to !== undefined) list[(to + list.length) % list.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "Enter" || event.key === " ") document.activeElement.click();
    else if (event.key.length === 1) list.find((choice) => choice.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    else return;
    event.preventDefault();
  });
  menu.addEventListener("close-menu", () => close());
  document.addEventListener("pointerdown", pressed, true);
  (document.querySelector("dialog[open]") ?? document.body).append(menu);
  opened = { close };
  place(menu, anchor);
  (choices()[0] ?? menu).focus();
}

function itemOf(item) {
  if (item.separator) return element("div", { class: "menu-line", role: "separator" });
  if (item.heading) return element("div", { class: "menu-heading", role: "presentation" }, item.heading);
  const role = item.checked === undefined ? "menuitem" : "menuitemcheckbox";
  const made = element("div", {
    class: `menu-item${item.danger ? " is-danger" : ""}`, role, tabindex: -1, "aria-checked": item.checked === undefined ? null : String(item.checked),
    "aria-disabled": item.disabled ? "true" : null,
  }, element("span", { class: "menu-mark", "aria-hidden": "true" }, item.checked ? "✓" : ""), item.text);
  made.addEventListener("click", () => {
    if (item.disabled) return;
    if (item.stays) {
      const isChecked = made.getAttribute("aria-checked") !== "true";
      made.setAttribute("aria-checked", String(isChecked));
      made.firstChild.textContent = isChecked ? "✓" : "";
    } else made.dispatchEvent(new CustomEvent("close-menu", { bubbles: true }));
    item.action();
  });
  return made;
}

function place(menu, anchor) {
  const box = anchor instanceof Element ? anchor.getBoundingClientRect() : { left: anchor.x, right: anchor.x, bottom: anchor.y, top: anchor.y };
  const { offsetWidth, offsetHeight } = menu;
  const left = Math.max(8, Math.min(box.left, window.innerWidth - offsetWidth - 8));
  const fitsBelow = box.bottom + offsetHeight + 8 <= window.innerHeight;
  setVariable(menu, "--left", `${left}px`);
  setVariable(menu, "--top", `${Math.max(8, fitsBelow ? box.bottom + 2 : box.top - offsetHeight - 2)}px`);
}
