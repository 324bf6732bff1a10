// Asks the server of docs/serve.py for news: a new edition of the pages is loaded, a message is shown at the foot.
(async () => {
  const edition = EDITION;
  let message = "";
  const note = document.createElement("pre");
  note.setAttribute("role", "status");
  note.style.cssText =
    "position:fixed;inset:auto 0 0 0;z-index:9;margin:0;padding:.6em 1em;max-height:45vh;overflow:auto;" +
    "white-space:pre-wrap;font:14px/1.4 monospace;background:#1b1b1b;color:#fff;border-top:3px solid #e8833a";
  note.hidden = true;
  document.body.append(note);
  const show = (text) => {
    note.textContent = message = text;
    note.hidden = !text;
  };
  for (;;) {
    try {
      const reply = await fetch("/news", {method: "POST", body: JSON.stringify({edition, message})});
      const news = await reply.json();
      if (news.edition !== edition) {
        location.reload();
        return;
      }
      show(news.message);
    } catch {
      if (message !== "the server has stopped") show("the server has stopped");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
})();
