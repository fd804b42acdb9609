// @ts-check
// One task, or the list of tasks, that the application has joined: what it shows and how far the relay has answered.

/** @typedef {import("./task-list.js").TaskList} TaskList */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./messages.js").ErrorCode | "deleted" | "revoked"} EndState `deleted` and `revoked` of a task only */

/**
 * - `wanted`: a join is to be sent.
 * - `asked`: a join was sent, and its answer is awaited.
 * - `joined`: the state is complete, and live messages follow.
 * - `gone`: not visible to this user, or deleted. It is joined again when the relay shows it again.
 * - `full`: more tasks than the connection may have. It is joined when another task is left.
 * - `refused`: the relay will never accept this join. It is not sent again, on any connection.
 * @typedef {"wanted" | "asked" | "joined" | "gone" | "full" | "refused"} Phase
 */

/** @template {TaskList | Timeline} V */
export class Subscription {
  /** How many parts of the application have joined it. */
  joins = 0;
  /** @type {Phase} */
  phase = "wanted";
  /** When the join may be sent, in ms since the epoch: later than now after a temporary error. */
  notBefore = 0;
  /** @type {string | undefined} The id of the last join on this connection. */
  request;
  /** @type {number | undefined} The most tasks a join may name if this one is among them (see batches.js). */
  share;
  /** Whether some pages of the answer have arrived, but not the last one. */
  isPartial = false;
  /** Whether the list has shown this task since the join was sent. */
  wasListed = false;

  /**
   * @param {V} view what the application reads
   * @param {number} [limit] of a list: how many tasks a state brings
   */
  constructor(view, limit) {
    this.view = view;
    this.limit = limit;
  }

  /** Whether the relay has it, or soon will: an error for its request concerns it. */
  get isActive() {
    return this.phase === "asked" || this.phase === "joined";
  }

  /** A new connection: the relay knows nothing of earlier joins. */
  reset() {
    this.request = undefined;
    this.isPartial = this.wasListed = false;
    if (this.phase !== "refused") this.want();
  }

  /** @param {number} [notBefore] in ms since the epoch */
  want(notBefore = 0) {
    this.phase = "wanted";
    this.notBefore = notBefore;
    this.isPartial = false;
  }

  /** @param {string} request the id of the join that was sent */
  ask(request) {
    this.phase = "asked";
    this.request = request;
    this.isPartial = this.wasListed = false;
  }

  /**
   * Whether a page of a state belongs to this subscription as it is now. The last page completes the answer.
   *
   * Over long polling, a task that becomes visible again arrives by itself as the answer to its old join, so `gone`
   * accepts pages too.
   * @param {string | undefined} replyTo
   * @param {boolean} more whether another page follows
   */
  accepts(replyTo, more) {
    if (this.phase === "joined") return true;
    const isAwaited = this.phase === "asked" || this.phase === "gone";
    if (!isAwaited || replyTo === undefined || replyTo !== this.request) return false;
    this.phase = more ? "asked" : "joined";
    this.isPartial = more;
    this.share = undefined;
    return true;
  }

  /**
   * The relay ended or refused it.
   * @param {Phase} phase
   * @param {EndState} state of the view
   */
  end(phase, state) {
    this.phase = phase;
    this.share = undefined;
    this.isPartial = this.wasListed = false;
    /** @type {{end: (state: EndState) => void}} */ (this.view).end(state); // a list ends by an error only
  }
}
