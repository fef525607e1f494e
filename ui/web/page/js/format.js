// Numbers and times as they are shown. "–" stands for what there is none of, or what this client does not tell.

export const NONE = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(count) {
  if (!Number.isFinite(count)) return NONE;
  let value = count, unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function exactBytes(count) {
  return Number.isFinite(count) ? `${count.toLocaleString("en")} bytes` : "";
}

export function rate(count) {
  return count > 0 ? `${bytes(count)}/s` : NONE;
}

// '100' or one decimal, cut: 99.96 % is not all
export function percent(part, whole) {
  if (!(whole > 0) || !Number.isFinite(part)) return NONE;
  return part >= whole ? "100" : (Math.floor((1000 * part) / whole) / 10).toFixed(1);
}

export function whole(count) {
  return Number.isFinite(count) ? Math.round(count).toLocaleString("en") : NONE;
}

// "8 s", "4 m", "2 h 05 m", "3 d"
export function seconds(count) {
  if (!Number.isFinite(count)) return NONE;
  const value = Math.max(0, count);
  if (value < 59.5) return `${Math.round(value)} s`;
  if (value < 3570) return `${Math.round(value / 60)} m`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${String(Math.floor((value % 3600) / 60)).padStart(2, "0")} m`;
  return `${Math.floor(value / 86400)} d ${Math.floor((value % 86400) / 3600)} h`;
}

// Short spans, of phases: "0.04 s", "3.2 s"
export function span(count) {
  if (!Number.isFinite(count)) return NONE;
  return count < 0.995 ? `${count.toFixed(2)} s` : count < 9.95 ? `${count.toFixed(1)} s` : seconds(count);
}

// A countdown, to the second: "8 s", "1:12", "1:02:05"
export function countdown(count) {
  if (!Number.isFinite(count)) return NONE;
  const left = Math.max(0, Math.ceil(count));
  if (left < 60) return `${left} s`;
  const pair = (value) => String(value).padStart(2, "0");
  return left < 3600 ? `${Math.floor(left / 60)}:${pair(left % 60)}` : `${Math.floor(left / 3600)}:${pair(Math.floor(left / 60) % 60)}:${pair(left % 60)}`;
}

export function clockTime(date) {
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

// The exact time that was or will be `count` seconds from now
export function exactTime(count) {
  return Number.isFinite(count) ? clockTime(new Date(Date.now() + 1000 * count)) : "";
}

export function plural(count, one, many = `${one}s`) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}
