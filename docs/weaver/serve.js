// Asks the server of weaver/serve.py several times a second for news: it loads a new edition of the pages, and shows a
// message at the foot. Each question is answered at once, so that no tab keeps others waiting.
(() => {
  const edition = EDITION;
  const note = document.createElement("pre");
  note.setAttribute("role", "status");
  note.style.cssText =
    "position:fixed;inset:auto 0 0 0;z-index:9;margin:0;padding:.6em 1em;max-height:45vh;overflow:auto;" +
    "white-space:pre-wrap;font:14px/1.4 monospace;background:#1b1b1b;color:#fff;border-top:3px solid #e8833a";
  document.body.append(note);

  async function ask() {
    let message = "the server has stopped";
    try {
      const news = await (await fetch("/.news", {cache: "no-store"})).json();
      if (news.edition !== edition) return location.reload();
      message = news.message;
    } catch {}
    if (note.textContent !== message) note.textContent = message;
    note.hidden = !message;
    setTimeout(ask, 200);
  }

  ask();
})();
