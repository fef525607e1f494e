// The settings: each with unit, range and default. What was changed goes to the client at once and as a whole; it says what is wrong.

import { api } from "./api.js";
import { byId, element, plain, setText } from "./elements.js";
import { PROFILES, SETTINGS } from "./settings_table.js";
import { notify } from "./notices.js";

export class SettingsDialog {
  constructor(changed) {
    this.#changed = changed;
    this.#dialog = byId("settings-dialog");
    this.#dialog.querySelector("form").addEventListener("submit", (event) => this.#submit(event));
  }

  #changed; #dialog;
  #values = {};

  async open() {
    try {
      const answer = await api.settings();
      this.#values = answer.settings ?? answer;
    } catch (error) {
      notify(`The settings cannot be shown: ${error.message}`, { isError: true });
      return;
    }
    setText(byId("settings-error"), "");
    this.#draw();
    this.#dialog.showModal();
  }

  #draw() {
    const known = new Set(SETTINGS.map(([key]) => key));
    const others = Object.keys(this.#values).filter((key) => !known.has(key) && typeof this.#values[key] !== "object");
    const all = [...SETTINGS.filter(([key]) => key in this.#values), ...others.map((key) => [key, "Others", key.replaceAll("_", " "), "", null, null, undefined])];
    const groups = new Map();
    for (const setting of all) groups.set(setting[1], [...(groups.get(setting[1]) ?? []), setting]);
    byId("settings-fields").replaceChildren(...[...groups].map(([group, settings]) => element("fieldset", {}, element("legend", {}, group), ...settings.map((setting) => this.#field(setting)))));
  }

  #field([key, , name, unit, lowest, highest, otherwise]) {
    const value = this.#values[key], id = `setting-${key}`;
    let input;
    if (key === "profile") {
      input = element("select", { id, name: key }, ...PROFILES.map((profile) => element("option", { value: profile }, profile)));
      input.value = value;
    } else if (typeof value === "boolean") input = element("input", { id, name: key, type: "checkbox", checked: value });
    else if (typeof value === "number") input = element("input", { id, name: key, type: "number", step: "any", min: lowest, max: highest, value });
    else input = element("input", { id, name: key, type: "text", value: value ?? "" });
    const range = lowest === null ? "" : `${lowest.toLocaleString("en")} to ${highest.toLocaleString("en")}`;
    const usual = otherwise === undefined ? "" : `default ${otherwise === true ? "on" : otherwise === false ? "off" : typeof otherwise === "number" ? otherwise.toLocaleString("en") : otherwise}`;
    const hint = element("span", { class: "hint", id: `${id}-hint` }, [unit, range, usual].filter(Boolean).join("; "));
    input.setAttribute("aria-describedby", hint.id);
    return element("div", { class: "setting" }, element("label", { for: id }, name), input, hint);
  }

  async #submit(event) {
    event.preventDefault();
    const changes = {};
    for (const input of event.target.elements) {
      if (!(input.name in this.#values)) continue;
      const had = this.#values[input.name];
      const value = typeof had === "boolean" ? input.checked : typeof had === "number" ? Number(input.value) : input.value;
      if (value !== had) changes[input.name] = value;
    }
    if (!Object.keys(changes).length) {
      this.#dialog.close();
      return;
    }
    try {
      const { settings, needs_restart: waiting = [] } = await api.setSettings(changes);
      this.#changed(settings);
      notify(waiting.length ? `Taken over, except ${waiting.join(", ")}: these need a restart of the client.` : "The settings are in force.");
      this.#dialog.close();
    } catch (error) {
      setText(byId("settings-error"), plain(error.message));
    }
  }
}
