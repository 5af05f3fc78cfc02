/**
 * One WebSocket that is opened again after each close: after 1, 2, 4 … 30 s, counted anew once it was open; or, as
 * the feed's documentation has it, every 5 s. It does not resume: what was sent meanwhile is missed.
 */
export class Feed {
  /**
   * @param {{url: string, delayMs: number, longestMs: number, isFixed: boolean}} settings
   * @param {{onMessage: (data: unknown) => void, onChange: () => void}} told
   */
  constructor(settings, told) {
    this.state = "connecting"; // connecting, open, waiting
    this.opened = 0;
    this.closes = [];
    this.retryMs = null; // how long it waits now
    this.settings = settings;
    this.told = told;
    this.failures = 0;
    this.connect();
  }

  connect() {
    this.enter("connecting", null);
    const socket = new WebSocket(this.settings.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.failures = 0;
      this.opened += 1;
      this.enter("open", null);
    };
    // Nothing that a message holds may reach the socket as an error.
    socket.onmessage = (event) => this.told.onMessage(event.data);
    // There is no onerror: an error is always followed by a close, and says nothing more.
    socket.onclose = (event) => {
      this.closes = [...this.closes, event.code].slice(-10);
      const { delayMs, longestMs, isFixed } = this.settings;
      const retryMs = isFixed ? delayMs : Math.min(delayMs * 2 ** this.failures, longestMs);
      this.failures += 1;
      this.enter("waiting", retryMs);
      setTimeout(() => this.connect(), retryMs);
    };
  }

  enter(state, retryMs) {
    this.state = state;
    this.retryMs = retryMs;
    this.told.onChange();
  }
}
