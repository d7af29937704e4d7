// Refreshes the page: fetches it, and replaces its main part. Opened details, focus and scrolling stay.
"use strict";
(() => {
  const period = 2000;
  const patience = 5000;
  const pause = document.getElementById("pause");
  const fresh = document.getElementById("fresh");
  let paused = false;

  const isSelecting = () => !document.getSelection().isCollapsed;

  const replace = (next) => {
    const old = document.querySelector("main");
    for (const open of old.querySelectorAll("details[open]")) {
      next.querySelector("#" + open.id)?.setAttribute("open", "");
    }
    const boxes = [...old.querySelectorAll(".scroll")];
    const places = new Map(boxes.map((box) => [box.getAttribute("aria-label"), box.scrollLeft]));
    const all = "a, summary, .scroll";
    const focus = [...old.querySelectorAll(all)].indexOf(document.activeElement);
    old.replaceWith(next);
    for (const box of next.querySelectorAll(".scroll")) {
      box.scrollLeft = places.get(box.getAttribute("aria-label")) ?? 0;
    }
    if (focus >= 0) next.querySelectorAll(all)[focus]?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (!paused && !document.hidden && !isSelecting()) {
      try {
        const signal = AbortSignal.timeout(patience);
        const answer = await fetch(location.pathname, { cache: "no-store", signal });
        if (!answer.ok) throw new Error(answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!paused) replace(page.querySelector("main"));
        document.title = page.title;
        fresh.textContent = "";
      } catch {
        fresh.textContent = "No answer: this is old.";
      }
    }
    setTimeout(refresh, period);
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
  });
  setTimeout(refresh, period);
})();
