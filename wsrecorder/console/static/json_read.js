// Reads JSON as payloads really are: with NaN and Infinity, with integers that a double cannot hold, with keys said twice.
// Every literal stays the text that was sent. It keeps its own stack, so no depth of nesting can overflow ours.

/**
 * @typedef {{kind: "string"|"number"|"literal", text: string}
 *   | {kind: "array", items: {key: null, node: JsonNode}[]}
 *   | {kind: "object", items: {key: string, node: JsonNode}[]}} JsonNode
 *   `text` and `key` are as they stand in the payload; strings and keys with their quotes.
 */

const TOKEN = /[\t\n\r ]*(?:([{}[\]:,])|("(?:[^"\\]|\\[^])*")|(-?(?:\d[\d.eE+-]*|Infinity))|(NaN|Infinity|true|false|null))/y;

/**
 * Read a payload.
 * @param {string} text
 * @returns {JsonNode}
 * @throws {SyntaxError} it is not even JSON in this wide sense; the message says where
 */
export function readJson(text) {
  const root = { items: [] };
  const stack = [{ node: root, key: null, expects: "value" }];
  TOKEN.lastIndex = 0;
  let place = 0;

  const fail = (wanted) => {
    const found = text.slice(place).trimStart().slice(0, 12);
    throw new SyntaxError(`at character ${place}: found ${found ? JSON.stringify(found) : "the end"}, expected ${wanted}`);
  };

  for (;;) {
    const open = stack.at(-1);
    if (stack.length === 1 && open.expects === "end") {
      if (/[^\t\n\r ]/.test(text.slice(place))) fail("the end");
      return root.items[0].node;
    }
    TOKEN.lastIndex = place;
    const token = TOKEN.exec(text);
    if (!token) fail(WORDS[open.expects]);
    accept(stack, open, token, fail);
    place = TOKEN.lastIndex;
  }
}

const WORDS = {
  value: "a value", "value or ]": "a value or ]", key: "a key", "key or }": "a key or }", ":": ":", ", or ]": ", or ]", ", or }": ", or }",
};

function accept(stack, open, [, sign, string, number, literal], fail) {
  const { expects } = open;
  if (expects.startsWith("key") && string !== undefined) {
    open.key = string;
    open.expects = ":";
  } else if (expects === ":" && sign === ":") {
    open.expects = "value";
  } else if (expects.startsWith(",") && sign === ",") {
    open.expects = open.node.kind === "object" ? "key" : "value";
  } else if ((sign === "]" || sign === "}") && expects.endsWith(` ${sign}`)) {
    stack.pop();
  } else if (expects.startsWith("value") && sign !== "]" && sign !== "}" && sign !== ":" && sign !== ",") {
    const node = made(sign, string, number, literal);
    open.node.items.push({ key: open.key, node });
    open.key = null;
    open.expects = open.node.kind === "object" ? ", or }" : open.node.kind === "array" ? ", or ]" : "end";
    if (node.items) stack.push({ node, key: null, expects: node.kind === "object" ? "key or }" : "value or ]" });
  } else {
    fail(WORDS[expects]);
  }
}

function made(sign, string, number, literal) {
  if (sign === "{") return { kind: "object", items: [] };
  if (sign === "[") return { kind: "array", items: [] };
  if (string !== undefined) return { kind: "string", text: string };
  return number !== undefined ? { kind: "number", text: number } : { kind: "literal", text: literal };
}
