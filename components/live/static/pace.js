const FASTEST = 32;
const SLOWEST = 45;
const TIMES = 16;
const WEIGHT = 0.2;
const HIDDEN = 1000;

/**
 * How long to wait from one drawing of a run that goes on to the next: sixteen times what a drawing has taken
 * lately, layout and painting included, so that the machine is left to whoever computes. Milliseconds.
 */
export class Pace {
  constructor() {
    this.cost = 0;
    this.channel = new MessageChannel();
    this.channel.port1.onmessage = () => this.took(performance.now() - this.began);
  }

  get every() {
    return Math.min(SLOWEST, Math.max(FASTEST, TIMES * this.cost));
  }

  /** The seconds between two messages that are worth being sent: few to a page that nobody sees. */
  get seconds() {
    return Math.round(document.hidden ? HIDDEN : this.every) / 1000;
  }

  /** Called where an animation frame begins; a message comes after the browser has painted it. */
  begin() {
    this.began = performance.now();
    this.channel.port2.postMessage(0);
  }

  took(milliseconds) {
    this.cost += WEIGHT * (milliseconds - this.cost);
  }

  close() {
    this.channel.port1.close();
  }
}
