// From the scroll bar to rows and back. Browsers end an element at about 33 million pixels: a longer table is squeezed
// into fewer, where the bar still reaches every row, and the wheel moves by pixels of the table, not of the bar.

/** Height of a row, CSS pixels; the same as --row in style.css. */
export const ROW = 24;
const HIGHEST = 16_000_000;

/**
 * Return how high the scrolled element is.
 * @param {number} rows
 * @returns {number} CSS pixels
 */
export function sizerHeight(rows) {
  return Math.min(rows * ROW, HIGHEST);
}

/**
 * Return whether the bar's pixels are not the table's.
 * @param {number} rows
 * @returns {boolean}
 */
export function isSqueezed(rows) {
  return rows * ROW > HIGHEST;
}

function ratio(rows, height) {
  const [table, bar] = [rows * ROW - height, sizerHeight(rows) - height];
  return table > 0 && bar > 0 ? table / bar : 1;
}

/**
 * Return how far down the table a position of the bar is.
 * @param {number} scrollTop
 * @param {number} rows
 * @param {number} height of the window on the table
 * @returns {number} CSS pixels of the table
 */
export function tableTop(scrollTop, rows, height) {
  return scrollTop * ratio(rows, height);
}

/**
 * Return the position of the bar for a place in the table.
 * @param {number} top CSS pixels of the table
 * @param {number} rows
 * @param {number} height of the window on the table
 * @returns {number} scrollTop
 */
export function barTop(top, rows, height) {
  return top / ratio(rows, height);
}
