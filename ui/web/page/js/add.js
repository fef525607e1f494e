// Adding: files that are chosen, dropped on the page or pasted as a link; shown with what is in them before they are added.

import { api } from "./api.js";
import { describeTorrent } from "./bencode.js";
import { byId, element, isolated, plain, setText } from "./elements.js";
import { bytes, plural } from "./format.js";
import { attempt, notify } from "./notices.js";

const MAX_TORRENT_BYTES = 30 << 20;                     // less than the body that the client takes
const MAX_FILES_SHOWN = 300;
const LINK = /^(magnet:\?|https?:\/\/)\S+$/i;

export class Adding {
  constructor(added) {
    this.#added = added;
    this.#dialog = byId("add-dialog");
    this.#links = byId("add-links");
    byId("add-files").addEventListener("change", (event) => this.#take([...event.target.files]).then(() => (event.target.value = "")));
    this.#dialog.querySelector("form").addEventListener("submit", (event) => this.#submit(event));
    this.#links.addEventListener("input", () => this.#say());
    this.#listenToDrops();
    document.addEventListener("paste", (event) => {
      const text = event.clipboardData.getData("text/plain").trim();
      if (event.target.closest?.("input, textarea") || document.querySelector("dialog[open]") || !LINK.test(text.split(/\s/)[0])) return;
      event.preventDefault();
      this.open([], text);
    });
  }

  #added; #dialog; #links;
  #chosen = [];                                         // {file name, data, description}

  async open(files = [], links = "") {
    this.#chosen = [];
    this.#links.value = links;
    byId("add-start").checked = true;
    byId("add-priority").value = "normal";
    this.#drawChosen();
    if (!this.#dialog.open) this.#dialog.showModal();
    (links ? byId("add-submit") : byId("add-files")).focus();
    await this.#take(files);
    try {
      const { folders = [] } = await api.client();
      byId("folders").replaceChildren(...folders.map((folder) => element("option", { value: folder })));
      if (!byId("add-folder").value) byId("add-folder").placeholder = folders[0] ?? "";
    } catch { /* the folder can be typed */ }
  }

  async #take(files) {
    for (const file of files) {
      try {
        if (file.size > MAX_TORRENT_BYTES) throw new Error(`${bytes(file.size)} is more than a .torrent can be`);
        const data = new Uint8Array(await file.arrayBuffer());
        this.#chosen.push({ name: file.name, data, description: describeTorrent(data) });
      } catch (error) {
        notify(`${file.name}: ${error.message}`, { isError: true });
      }
    }
    this.#drawChosen();
    if (this.#chosen.length) byId("add-submit").focus();
  }

  #drawChosen() {
    byId("add-chosen").replaceChildren(...this.#chosen.map((one, place) => {
      const { name, size, files } = one.description;
      const list = element("ul", {}, ...files.slice(0, MAX_FILES_SHOWN).map((file) => element("li", {}, isolated(file.path), element("span", { class: "is-soft" }, ` ${bytes(file.length)}`))));
      if (files.length > MAX_FILES_SHOWN) list.append(element("li", {}, `and ${plural(files.length - MAX_FILES_SHOWN, "more", "more")}`));
      return element("li", {}, element("details", {}, element("summary", {}, isolated(name), element("span", { class: "is-soft" }, ` ${bytes(size)}, ${plural(files.length, "file")}`)), list),
        element("button", { type: "button", class: "quiet", "aria-label": `Do not add ${plain(name)}`, onclick: () => {
          this.#chosen.splice(place, 1);
          this.#drawChosen();
        } }, "✕"));
    }));
    this.#say();
  }

  #linksGiven() {
    return this.#links.value.split(/\s+/).filter(Boolean);
  }

  #say() {
    const count = this.#chosen.length + this.#linksGiven().length;
    setText(byId("add-submit"), count > 1 ? `Add ${count} torrents` : "Add");
    byId("add-submit").disabled = count === 0;
  }

  async #submit(event) {
    event.preventDefault();
    const folder = byId("add-folder").value.trim(), wanted = { priority: byId("add-priority").value, ...(folder ? { folder } : {}) };
    const start = byId("add-start").checked, links = this.#linksGiven();
    const bad = links.find((link) => !LINK.test(link));
    if (bad) {
      notify(`${bad.slice(0, 80)}: is neither a magnet link nor an address that begins with http:// or https://`, { isError: true });
      return;
    }
    const left = [];
    for (const one of this.#chosen) {
      const isDone = await this.#add(one.description.name, () => api.addTorrentFile(one.data, { ...wanted, start: String(start), source: one.name }));
      if (!isDone) left.push(one);
    }
    const leftLinks = [];
    for (const link of links) {
      const kind = link.toLowerCase().startsWith("magnet:") ? "magnet" : "url";
      if (!(await this.#add(link.slice(0, 80), () => api.addLink({ [kind]: link, ...wanted, start })))) leftLinks.push(link);
    }
    this.#chosen = left;
    this.#links.value = leftLinks.join("\n");
    this.#drawChosen();
    if (!left.length && !leftLinks.length) this.#dialog.close();
  }

  #add(name, action) {
    return attempt(`Could not add ${name}`, async () => {
      const added = await action();
      notify(`${added.name ?? name} is added`);
      this.#added(added.info_hash);
    });
  }

  #listenToDrops() {
    const shade = byId("drop-shade");
    const isWanted = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list");
    let depth = 0;
    document.addEventListener("dragenter", (event) => {
      if (isWanted(event)) shade.hidden = (depth += 1) === 0;
    });
    document.addEventListener("dragleave", (event) => {
      if (isWanted(event)) shade.hidden = (depth = Math.max(0, depth - 1)) === 0;
    });
    document.addEventListener("dragover", (event) => {
      if (isWanted(event)) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      depth = 0;
      shade.hidden = true;
      if (!isWanted(event)) return;
      event.preventDefault();
      const link = event.dataTransfer.getData("text/uri-list").split("\n")[0].trim();
      this.open([...event.dataTransfer.files], LINK.test(link) ? link : "");
    });
  }
}
