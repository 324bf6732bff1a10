// Asks the server of weaver/serve.py twice a second for news, while the page can be seen: a new edition of the pages is
// loaded, a message is shown at the foot. Each question is answered at once, so that no tab keeps others waiting.
(() => {
  const edition = EDITION;
  const note = document.createElement("pre");
  note.setAttribute("role", "status");
  note.style.cssText =
    "position:fixed;inset:auto 0 0 0;z-index:9;margin:0;padding:.6em 1em;max-height:45vh;overflow:auto;" +
    "white-space:pre-wrap;font:14px/1.4 monospace;background:#1b1b1b;color:#fff;border-top:3px solid #e8833a";
  note.hidden = true;
  document.body.append(note);

  /** @param {string} text */
  function show(text) {
    if (note.textContent !== text) note.textContent = text;
    note.hidden = !text;
  }

  async function ask() {
    if (document.visibilityState === "visible") {
      try {
        const news = await (await fetch("/.news", {cache: "no-store"})).json();
        if (news.edition !== edition) {
          location.reload();
          return;
        }
        show(news.message);
      } catch {
        show("the server has stopped");
      }
    }
    setTimeout(ask, 500);
  }

  ask();
})();
