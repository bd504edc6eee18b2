// The one script of a page that has the chat: finds out who it was embedded as and fetches the rest. It is no module,
// because only such a script knows its own tag, and nothing in it needs the page to allow more than this address.
(() => {
  const tag = document.currentScript;
  const house = $house;
  if (!tag || document.querySelector("switchboard-chat")) return; // once on a page
  const base = new URL(house.base, tag.src).href;
  const options = { ...tag.dataset };
  const begin = () =>
    import(`$${base}/js/main.js`)
      .then((chat) => chat.begin(house, base, options))
      .catch((problem) => console.warn("The chat could not be loaded:", problem.message));
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin, { once: true });
  else begin();
})();
