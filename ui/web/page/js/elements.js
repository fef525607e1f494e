// Elements, made and changed without markup: whatever comes from a torrent, a peer or a tracker is text, never HTML.

// element("button", {class: "quiet", type: "button", onclick: f}, "Text", child, …)
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Writes only what differs: an unchanged cell costs a comparison, and a screen reader is not told twice.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === "") {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

export function setClass(node, name, wanted) {
  if (node.classList.contains(name) !== wanted) node.classList.toggle(name, wanted);
}

// Custom properties by CSSOM: style attributes are inline code, which our policy forbids.
export function setVariable(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}

export function byId(id) {
  return document.getElementById(id);
}

// Control characters, and those that turn the direction of a whole line, would make a name look like another one: shown as what they are.
const TREACHEROUS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

export function plain(text) {
  return String(text ?? "").replace(TREACHEROUS, (char) => `\u27e8${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
}

// An outside text in its own direction, so that right-to-left names do not turn what stands beside them.
export function isolated(text, attributes = {}) {
  return element("bdi", attributes, plain(text));
}

export function sentence(text, attributes = {}) {
  return element("p", { class: "sentence", ...attributes }, text);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
