// The server's state, pushed. A stream that breaks, or is silent for too long, is opened again: after 0.5 s, 1 s … 8 s.

const SILENT_MS = 8_000; // the server says something at least once a second
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

/**
 * Follow the state of the server.
 * @param {{onState: (state: Object) => void, onLost: (retryAtMs: number) => void}} told
 * @returns {{retry: () => void}} `retry` opens it now instead of after the wait
 */
export function followState({ onState, onLost }) {
  let source = null;
  let waitMs = FIRST_WAIT_MS;
  let wait = 0;
  let silence = 0;

  function open() {
    clearTimeout(wait);
    source?.close();
    source = new EventSource("/api/stream");
    source.addEventListener("state", (event) => {
      waitMs = FIRST_WAIT_MS;
      listen();
      onState(JSON.parse(event.data));
    });
    source.addEventListener("error", lose);
    listen();
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(lose, SILENT_MS);
  }

  function lose() {
    clearTimeout(silence);
    clearTimeout(wait);
    source.close(); // its own way of reconnecting knows neither backoff nor an answer that is an error
    wait = setTimeout(open, waitMs);
    onLost(performance.now() + waitMs);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  }

  open();
  return { retry: open };
}
