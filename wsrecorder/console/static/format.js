// Numbers, times and sizes as people read them. Times are in ns since the session began.

const NS_PER_MS = 1_000_000;

/**
 * Return a duration as `1:02:03.456`.
 * @param {number} ns
 * @param {number} [decimals] of the seconds
 * @returns {string}
 */
export function clock(ns, decimals = 3) {
  const sign = ns < 0 ? "−" : "";
  const unit = 10 ** decimals;
  let left = Math.floor(Math.abs(ns) / (1e9 / unit));
  const fraction = left % unit;
  left = Math.floor(left / unit);
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (number) => String(number).padStart(2, "0");
  const whole = hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
  return sign + whole + (decimals ? `.${String(fraction).padStart(decimals, "0")}` : "");
}

/**
 * Return a moment of the session in UTC, `2026-11-23 19:15:00.123`.
 * @param {string|undefined} beganAt ISO time of the session's begin
 * @param {number} elapsedNs
 * @returns {string}
 */
export function utc(beganAt, elapsedNs) {
  const began = Date.parse(beganAt ?? "");
  if (Number.isNaN(began)) return "–";
  return new Date(began + Math.floor(elapsedNs / NS_PER_MS)).toISOString().replace("T", " ").replace("Z", "");
}

/**
 * Return the time of day of an ISO time, without its date: `19:15:00.123`.
 * @param {string} iso
 * @returns {string}
 */
export function timeOfDay(iso) {
  return /T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(iso)?.[1] ?? iso;
}

/**
 * Return a count with thin spaces between its thousands.
 * @param {number|null|undefined} number
 * @returns {string}
 */
export function count(number) {
  return number === null || number === undefined ? "–" : String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/**
 * Return a number with three digits that say something.
 * @param {number|null|undefined} number
 * @returns {string}
 */
export function short(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const size = Math.abs(number);
  if (size >= 1e6) return `${Number((number / 1e6).toPrecision(3))} M`;
  if (size >= 1e4) return `${Number((number / 1e3).toPrecision(3))} k`;
  return size >= 100 ? String(Math.round(number)) : String(Number(number.toPrecision(3)));
}

/**
 * Return a number of bytes.
 * @param {number|null|undefined} size
 * @returns {string}
 */
export function bytes(size) {
  if (size === null || size === undefined) return "–";
  if (size < 1024) return `${size} B`;
  return size < 1024 ** 2 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * Return a speed, `2.5×` or `max`.
 * @param {number|"max"|null|undefined} speed
 * @returns {string}
 */
export function factor(speed) {
  if (speed === "max") return "max";
  return speed === null || speed === undefined ? "–" : `${short(speed)}×`;
}

/**
 * Return milliseconds, with three digits that say something.
 * @param {number|null|undefined} ms
 * @returns {string}
 */
export function milliseconds(ms) {
  return ms === null || ms === undefined ? "–" : `${short(ms)} ms`;
}
