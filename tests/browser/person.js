// A person who follows `script`, one entry a picture: keys [[code, ms after the onset], ...], a key
// pressed too early, a key held from before, or a page that is blocked. `done` is what was done:
// the stamp of the frame in which the picture was drawn, and of the first key's own event.
(() => {
  const person = (window.person = { script: [], done: [], frame: 0 });
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (call) =>
    ask((stamp) => {
      person.frame = stamp;
      call(stamp);
    });
  const press = (type, code, repeat) => {
    const event = new KeyboardEvent(type, { code, repeat, bubbles: true });
    window.dispatchEvent(event);
    return event.timeStamp;
  };
  const step = () => person.script[person.done.length] ?? {};
  const pens = CanvasRenderingContext2D.prototype;
  const fill = pens.fillRect;
  let cross = 0;
  pens.fillRect = function (...box) {
    const black = this.fillStyle === "#000000" && this.canvas.id === "stage";
    if (black && performance.now() - cross > 100) {
      cross = performance.now(); // the cross has two bars
      const { early, hold } = step();
      if (early) setTimeout(() => [press("keydown", early), press("keyup", early)], 60);
      if (hold) setTimeout(() => press("keydown", hold), 60);
    }
    return fill.apply(this, box);
  };
  const draw = pens.drawImage;
  pens.drawImage = function (...words) {
    const { block, hold, keys } = step();
    const done = { onset: person.frame, key: null };
    person.done.push(done);
    if (block) setTimeout(() => busy(block), 30);
    if (hold) {
      for (let n = 0; n < 5; n += 1) setTimeout(() => press("keydown", hold, true), 50 * n);
      setTimeout(() => press("keyup", hold), 300);
    }
    for (const [code, at] of keys ?? []) {
      setTimeout(() => {
        const stamp = press("keydown", code);
        done.key ??= stamp;
        setTimeout(() => press("keyup", code), 30);
      }, at);
    }
    return draw.apply(this, words);
  };
  function busy(ms) {
    const until = performance.now() + ms;
    while (performance.now() < until);
  }
  // Whatever a message asks for, so that the session goes on.
  setInterval(() => {
    const message = document.getElementById("message");
    if (!message || !/Press a key/.test(message.textContent)) return;
    press("keydown", "Space");
    press("keyup", "Space");
  }, 200);
})();
