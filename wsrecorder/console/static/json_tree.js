// A payload as a tree that opens and closes, by mouse or keys. Branches are made when they are opened first.

import { el } from "./dom.js";

const OPEN_DEPTH = 3;
const MOST_AT_ONCE = 200;
const MOST_CHARACTERS = 4_000;

/**
 * Show a payload as a tree.
 * @param {import("./json_read.js").JsonNode} node
 * @returns {HTMLElement}
 */
export function makeTree(node) {
  const tree = el("ul", { class: "tree", role: "tree", "aria-label": "Payload" }, item(null, node, 0));
  tree.querySelector("li").tabIndex = 0;
  tree.addEventListener("click", (event) => {
    const line = event.target.closest(".line");
    if (!line || getSelection().type === "Range") return;
    focus(tree, line.parentElement);
    if (line.parentElement.matches(".branch")) toggle(line.parentElement);
  });
  tree.addEventListener("keydown", (event) => move(tree, event));
  return tree;
}

function item(key, node, depth) {
  const line = el("div", { class: "line" });
  if (key !== null) line.append(el("span", { class: "key", text: key }), ": ");
  const made = el("li", { role: "treeitem", tabindex: "-1" }, line);
  if (!node.items) {
    const cut = node.text.length > MOST_CHARACTERS;
    line.append(el("span", { class: node.kind, text: cut ? node.text.slice(0, MOST_CHARACTERS) : node.text }));
    if (cut) line.append(el("span", { class: "size", text: ` … ${node.text.length} characters: see Raw` }));
    return made;
  }
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  const words = node.kind === "object" ? ["key", "keys"] : ["item", "items"];
  const { length } = node.items;
  line.append(el("span", { class: "size", text: length ? `${open} ${length} ${words[length === 1 ? 0 : 1]} ${close}` : open + close }));
  if (!length) return made;
  made.classList.add("branch");
  made.setAttribute("aria-expanded", "false");
  made.fill = () => {
    const list = el("ul", { role: "group" });
    grow(list, node, depth, 0);
    made.append(list);
  };
  if (depth < OPEN_DEPTH && length <= MOST_AT_ONCE) toggle(made);
  return made;
}

function grow(list, node, depth, from) {
  const next = node.items.slice(from, from + MOST_AT_ONCE);
  next.forEach(({ key, node: child }, offset) => list.append(item(key ?? String(from + offset), child, depth + 1)));
  const left = node.items.length - from - next.length;
  if (left <= 0) return;
  const more = el("li", { role: "treeitem", tabindex: "-1", class: "branch" }, el("div", { class: "line" }, el("span", { class: "size", text: `${left} more` })));
  more.more = () => {
    more.remove();
    grow(list, node, depth, from + MOST_AT_ONCE);
  };
  list.append(more);
}

function toggle(branch) {
  if (branch.more) {
    branch.more();
    return;
  }
  const isOpen = branch.getAttribute("aria-expanded") === "true";
  branch.setAttribute("aria-expanded", String(!isOpen));
  if (!isOpen && branch.fill) {
    branch.fill();
    branch.fill = null;
  }
  if (branch.lastElementChild.matches("ul")) branch.lastElementChild.hidden = isOpen;
}

function focus(tree, to) {
  if (!to) return;
  for (const other of tree.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function move(tree, event) {
  const at = event.target.closest("li");
  if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
  const seen = () => [...tree.querySelectorAll("li")].filter((each) => each.offsetParent !== null);
  const next = (way) => {
    const all = seen();
    return all[all.indexOf(at) + way];
  };
  const isOpen = at.getAttribute("aria-expanded");
  const moves = {
    ArrowDown: () => focus(tree, next(1)),
    ArrowUp: () => focus(tree, next(-1)),
    ArrowRight: () => (isOpen === "false" ? toggle(at) : isOpen && focus(tree, next(1))),
    ArrowLeft: () => (isOpen === "true" ? toggle(at) : focus(tree, at.parentElement.closest("li"))),
    Enter: () => at.matches(".branch") && toggle(at),
    Home: () => focus(tree, seen()[0]),
    End: () => focus(tree, seen().at(-1)),
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  event.stopPropagation();
  moves[event.key]();
}
