// Reads a .torrent far enough to show what is in it before it is added. The client checks it properly.

const MAX_DEPTH = 20, MAX_ITEMS = 500000;
const decoder = new TextDecoder();

// → {name, size, files: [{path, length}]}; raises Error with a sentence
export function describeTorrent(data) {
  let at = 0, items = 0;
  const fail = () => {
    throw new Error("this is no .torrent");
  };
  const number = (end) => {
    const stop = data.indexOf(end.charCodeAt(0), at);
    if (stop < 0 || stop - at > 20) fail();
    const value = Number(decoder.decode(data.subarray(at, stop)));
    at = stop + 1;
    return Number.isSafeInteger(value) ? value : fail();
  };
  const value = (depth) => {
    items += 1;
    if (depth > MAX_DEPTH || items > MAX_ITEMS || at >= data.length) fail();
    const kind = String.fromCharCode(data[at]);
    if (kind === "i") {
      at += 1;
      return number("e");
    }
    if (kind === "l" || kind === "d") {
      at += 1;
      const list = [], table = new Map();
      while (data[at] !== 101) {
        if (kind === "l") list.push(value(depth + 1));
        else table.set(text(value(depth + 1)), value(depth + 1));
      }
      at += 1;
      return kind === "l" ? list : table;
    }
    const length = number(":"), start = at;
    at += length;
    return length >= 0 && at <= data.length ? data.subarray(start, at) : fail();
  };
  const text = (raw) => (raw instanceof Uint8Array ? decoder.decode(raw) : fail());
  const top = value(0), info = top instanceof Map ? top.get("info") : fail();
  if (!(info instanceof Map)) fail();
  const name = text(info.get("name.utf-8") ?? info.get("name") ?? fail());
  const list = info.get("files");
  const files = Array.isArray(list) ? list.map((file) => ({ path: (file.get("path.utf-8") ?? file.get("path") ?? fail()).map(text).join("/"), length: file.get("length"), isPadding: text(file.get("attr") ?? new Uint8Array()).includes("p") }))
    : [{ path: name, length: info.get("length") ?? 0 }];
  return { name, size: files.reduce((sum, file) => sum + (file.isPadding ? 0 : file.length), 0), files: files.filter((file) => !file.isPadding) };
}
