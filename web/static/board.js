// Keeps a page true: hears news from the server, fetches the parts that changed, and says so when no news come.
"use strict";
(() => {
  const body = document.body, root = document.documentElement, words = body.dataset;
  const pill = document.getElementById("live");
  if (!pill) return;
  const banner = document.getElementById("stale"), clock = document.getElementById("clock");
  const patience = 1000 * Number(words.staleAfter);
  let heard = performance.now(), quiet = 0, quietAt = heard, problem = "", rev = -1, shown = -1;
  let fetching = false, again = false, fetched = 0, red = null;

  const clockOf = new Intl.DateTimeFormat("en-GB", {timeZone: words.zone, hour: "2-digit", minute: "2-digit", second: "2-digit"});

  function look() {
    const now = performance.now();
    const lost = now - heard, still = 1000 * quiet + (now - quietAt);
    let said = "";
    if (lost > patience) said = words.wordsLost.replace("%s", Math.round(lost / 1000));
    else if (problem || still > patience) said = words.wordsQuiet.replace("%s", Math.round(still / 1000));
    const stale = said !== "";
    root.classList.toggle("stale", stale);
    pill.classList.toggle("old", stale);
    pill.classList.toggle("live", !stale && rev >= 0);
    if (!stale && rev >= 0) setText(pill.lastElementChild, words.wordsLive);
    if (stale) setText(pill.lastElementChild, "!");
    setText(banner, said);
    banner.hidden = !stale;
    // Ages grow although nothing happens.
    if (!stale && now - fetched > 10000 && rev >= 0) refresh();
  }
  function setText(element, text) { if (element.textContent !== text) element.textContent = text; }

  // --- parts of the page ------------------------------------------------------------------------------------------
  const isReview = words.page === "review";
  async function refresh() {
    if (isReview || !document.querySelector("[data-live]")) { shown = rev; return; }
    if (fetching) { again = true; return; }
    fetching = true;
    const wanted = rev;
    try {
      const address = new URL(location.href);
      address.searchParams.delete("done");
      address.searchParams.set("fragment", "1");
      address.searchParams.set("rev", String(wanted));
      const answer = await fetch(address, {headers: {accept: "text/html"}, credentials: "same-origin"});
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.assign(answer.url); return; }
      if (answer.ok) { put(new DOMParser().parseFromString(await answer.text(), "text/html")); shown = wanted; fetched = performance.now(); }
    } catch { /* the stream says whether the server is there */ } finally {
      fetching = false;
      if (again) { again = false; setTimeout(refresh, 50 + Math.random() * 100); }
    }
  }
  function put(page) {
    const focused = document.activeElement && document.activeElement.id;
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || fresh.outerHTML === old.outerHTML) continue;
      if (busy(old)) {
        if (fresh.dataset.version !== old.dataset.version) notice(old);
        continue;
      }
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      const done = old.querySelector(".done");
      old.replaceWith(fresh);
      fresh.querySelectorAll("details").forEach((one, at) => { if (open[at] !== undefined) one.open = open[at]; });
      if (done && !fresh.querySelector(".done")) fresh.querySelector("h2").after(done);
    }
    if (focused && document.activeElement === body) document.getElementById(focused)?.focus({preventScroll: true});
  }
  // Nobody's half-written words are taken away.
  function busy(part) {
    return [...part.querySelectorAll("input, textarea")].some((one) => one.type !== "hidden" && (one.value !== one.defaultValue || one === document.activeElement))
      || [...part.querySelectorAll("select")].some((one) => one === document.activeElement);
  }
  function notice(part) {
    if (part.querySelector(".changed")) return;
    const said = document.createElement("p");
    said.className = "problem changed";
    said.textContent = words.wordsChanged;
    part.prepend(said);
  }

  // --- news ---------------------------------------------------------------------------------------------------------
  function hear(news) {
    heard = performance.now();
    quiet = news.quiet; quietAt = heard; problem = news.problem;
    if (news.time !== null) { setText(clock, clockOf.format(new Date(news.time))); clock.dateTime = new Date(news.time).toISOString(); }
    const isNew = rev >= 0 && news.rev !== rev;
    const first = rev < 0;
    rev = news.rev;
    if (first) { const drawn = document.getElementById("rev"); shown = drawn ? Number(drawn.dataset.rev) : -1; fetched = performance.now(); }
    if ((isNew || first) && shown !== rev) setTimeout(refresh, first ? 0 : Math.random() * 60);
    const fresh = red === null ? [] : news.red.filter((id) => !red.includes(id));
    red = news.red;
    if (fresh.length) { document.getElementById("announce").textContent = words.wordsRed; sound(); }
    look();
  }
  let source = null;
  function connect() {
    source = new EventSource("/stream");
    source.onmessage = (event) => hear(JSON.parse(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); look(); };
  }

  // --- sound --------------------------------------------------------------------------------------------------------
  // It must be switched on, on this very page: browsers allow no sound before a click, and neither should we.
  const button = document.getElementById("sound");
  let ears = null, last = 0;
  button?.addEventListener("click", () => {
    if (ears) { ears.close(); ears = null; } else { ears = new AudioContext(); beep(660, 0, .12); }
    button.setAttribute("aria-pressed", String(ears !== null));
  });
  function beep(pitch, at, length) {
    const tone = ears.createOscillator(), loud = ears.createGain(), start = ears.currentTime + at;
    tone.frequency.value = pitch; tone.type = "triangle";
    loud.gain.setValueAtTime(.0001, start); loud.gain.exponentialRampToValueAtTime(.35, start + .02);
    loud.gain.exponentialRampToValueAtTime(.0001, start + length);
    tone.connect(loud).connect(ears.destination); tone.start(start); tone.stop(start + length + .02);
  }
  function sound() {
    if (!ears || performance.now() - last < 3000) return;
    last = performance.now();
    for (const at of [0, .35, .7]) { beep(880, at, .22); beep(660, at + .14, .2); }
  }

  // --- keys: j and k go through the alerts ---------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) return;
    const step = {j: 1, k: -1}[event.key];
    if (!step) return;
    const links = [...document.querySelectorAll(".alert a")];
    const at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + step))]?.focus();
  });

  setInterval(look, 500);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  connect();
})();
