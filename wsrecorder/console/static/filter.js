// The filter of the table: types, a text, an SQL expression. Its errors stand at its field.

import { colourName } from "./colours.js";
import { byId, el, setText } from "./dom.js";
import { count } from "./format.js";
import { showError } from "./toast.js";

const TYPED_MS = 300;
const NO_TYPES = new Set(["other", "(none)"]); // words of the density for what no type stands for

/**
 * Bring the filter to life.
 * @param {import("./store.js").Store} store
 * @param {import("./controls.js").Controls} controls
 * @returns {{showFieldError: (error: Error|null) => void}}
 */
export function makeFilter(store, controls) {
  const [text, where] = [byId("text"), byId("where")];
  let timer = 0;

  function apply() {
    clearTimeout(timer);
    const said = { ...store.value.filter, text: text.value, where: where.value.trim() };
    if (JSON.stringify(said) !== JSON.stringify(store.value.filter)) store.set({ filter: said });
  }

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, TYPED_MS);
  });
  where.addEventListener("change", apply); // half an expression is an error: it counts when it is whole
  where.addEventListener("input", () => !where.value && apply());
  byId("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  for (const field of [text, where]) {
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") apply();
      if (event.key === "Escape") field.blur();
    });
  }
  byId("clear").addEventListener("click", () => {
    text.value = where.value = "";
    store.set({ filter: { types: [], text: "", where: "" } });
  });
  byId("next-match").addEventListener("click", () => controls.nextMatch());
  store.watch(({ filter }) => filter, (filter) => {
    byId("clear").hidden = !filter.types.length && !filter.text && !filter.where;
    showFieldError(null);
  });
  makeTypesMenu(store);
  makeLegend(store);
  return { showFieldError };
}

function showFieldError(error) {
  const place = byId("where-error");
  // An error that the expression has nothing to do with, such as a lost server, is none of the field's.
  if (error && (!byId("where").value.trim() || error.status === 0)) {
    if (error.status !== 0) showError(error);
    return;
  }
  place.hidden = !error;
  byId("where").setAttribute("aria-invalid", String(Boolean(error)));
  place.replaceChildren(...(error ? [error.message, el("small", { text: error.hint ?? "" })] : []));
}

/**
 * Let a type through, or not any more.
 * @param {import("./store.js").Store} store
 * @param {string} type
 */
function toggleType(store, type) {
  const { filter } = store.value;
  const types = filter.types.includes(type) ? filter.types.filter((each) => each !== type) : [...filter.types, type];
  store.set({ filter: { ...filter, types } });
}

// The density tells the most frequent types and sums up the others; of those it tells the names.
function withRare(types, rareTypes) {
  const known = types.map(({ type, total }) => [type, total]);
  if (!types.some(({ type }) => type === "other")) return known;
  const names = new Set(types.map(({ type }) => type));
  return [...known, ...rareTypes.filter((type) => !names.has(type)).map((type) => [type, null])];
}

function dotOf(type) {
  const dot = el("span", { class: "dot" });
  dot.style.setProperty("--dot", `var(${colourName(type)})`);
  return dot;
}

function makeTypesMenu(store) {
  const [button, menu] = [byId("types-button"), byId("types-menu")];
  const show = (isOpen) => {
    menu.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
  };
  button.addEventListener("click", () => show(menu.hidden));
  document.addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !event.target.closest(".dropdown")) show(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || menu.hidden) return;
    show(false);
    if (menu.parentElement.contains(document.activeElement)) button.focus();
  });
  store.watch(({ types, rareTypes, filter }) => [withRare(types, rareTypes), filter.types], ([types, chosen]) => {
    const label = chosen.length === 0 ? "All types" : chosen.length === 1 ? chosen[0] : `${chosen.length} types`;
    setText(button, label);
    button.classList.toggle("on", chosen.length > 0);
    const focused = document.activeElement?.value;
    menu.replaceChildren(...types.filter(([type]) => !NO_TYPES.has(type)).map(([type, total]) => {
      const box = el("input", { type: "checkbox", value: type, on: { change: () => toggleType(store, type) } });
      box.checked = chosen.includes(type);
      return el("label", {}, box, dotOf(type), type, el("small", { text: total === null ? "" : count(total) }));
    }));
    if (focused) [...menu.querySelectorAll("input")].find(({ value }) => value === focused)?.focus();
  });
}

function makeLegend(store) {
  store.watch(({ types, filter }) => [types.map(({ type }) => type), filter.types], ([types, chosen]) => {
    const focused = document.activeElement?.dataset?.type;
    byId("legend").replaceChildren(...types.map((type) => {
      const isOther = NO_TYPES.has(type);
      const button = el("button", {
        type: "button", "data-type": type, disabled: isOther, "aria-pressed": isOther ? null : String(chosen.includes(type)),
        on: { click: () => toggleType(store, type) },
      }, dotOf(type), type);
      return el("li", {}, button);
    }));
    if (focused) byId("legend").querySelector(`[data-type="${CSS.escape(focused)}"]`)?.focus();
  });
}
