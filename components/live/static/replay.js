const STEPS_PER_SECOND = 30;

/** Walks through recorded steps at a steady pace: `moved(step)` for each, `done()` at the end. */
export class Replay {
  constructor({ moved, done }) {
    this.moved = moved;
    this.done = done;
    this.frame = 0;
  }

  get running() {
    return this.frame !== 0;
  }

  start(from, to) {
    this.stop();
    const begun = performance.now();
    const tick = (time) => {
      const step = Math.min(to, from + Math.max(0, Math.floor(((time - begun) * STEPS_PER_SECOND) / 1000)));
      this.frame = requestAnimationFrame(tick);
      if (step >= to) this.stop();
      this.moved(step);
      if (step >= to) this.done();
    };
    this.frame = requestAnimationFrame(tick);
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }
}
