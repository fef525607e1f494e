// What this browser remembers: columns, widths, sorting, the split. Nothing depends on it: a browser that forgets works, too.

const PREFIX = "evenswarm.";

export function recall(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch { /* full or forbidden: the page works without */ }
}
