// Other windows of the same agent in this browser: whether there are any. All of them are given the same stream; what
// they know besides is since when each interaction is theirs, and the older window tells the newer one.

import { randomId } from "./link.js";

export class Twin {
  constructor(agent, told, since) {
    this.id = randomId();
    this.others = new Set();
    this.told = told;
    this.since = since;
    this.channel = new BroadcastChannel(`switchboard desk ${agent}`);
    this.channel.onmessage = ({ data }) => this._heard(data);
    this.leave = () => this._say("bye");
    addEventListener("pagehide", this.leave);
    this._say("hi");
  }

  close() {
    removeEventListener("pagehide", this.leave);
    this._say("bye");
    this.channel.close();
  }

  _say(what, since) {
    this.channel.postMessage({ what, from: this.id, since });
  }

  _heard({ what, from, since }) {
    if (what === "bye") this.others.delete(from);
    else this.others.add(from);
    if (what === "hi") this._say("here", this.since.give());
    if (since) this.since.take(since);
    this.told(this.others.size > 0);
  }
}
