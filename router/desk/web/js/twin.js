// Other windows of the same agent in this browser: whether there are any. All of them are given the same stream, so there
// is nothing to share but the knowledge.

import { randomId } from "./link.js";

export class Twin {
  constructor(agent, told) {
    this.id = randomId();
    this.others = new Set();
    this.told = told;
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

  _say(what) {
    this.channel.postMessage({ what, from: this.id });
  }

  _heard({ what, from }) {
    if (what === "bye") this.others.delete(from);
    else this.others.add(from);
    if (what === "hi") this._say("here");
    this.told(this.others.size > 0);
  }
}
