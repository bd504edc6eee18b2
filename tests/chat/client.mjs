// A visitor by Node's own websocket client: says hello, says two things, prints what it heard, leaves.
// Run with --experimental-websocket, which newer releases do not need. argv: the address.
const heard = [];
const socket = new WebSocket(process.argv[2]);
const say = (frame) => socket.send(JSON.stringify(frame));
socket.onopen = () => say({ type: "hello", topic: "support" });
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  heard.push(frame);
  if (frame.type === "queued") {
    say({ type: "message", id: "a", text: "one ✓" });
    say({ type: "message", id: "a", text: "one ✓" });
    say({ type: "message", id: "b", text: "two" });
  }
  if (frame.type === "delivered" && frame.re === "b") say({ type: "leave" });
};
socket.onclose = ({ code }) => console.log(JSON.stringify({ protocol: socket.protocol, code, heard }));
